//! Convolutions and poolings of random shapes against plain loops over the definition.

mod common;

use std::sync::Arc;

use common::{backend, distance, largest};
use memtorch_nn::{
    Attribute, Dimension, ElementType, Executable, ImportOptions, NetworkBuilder, NodeDescription, Port,
    Tensor,
};
use memtorch_utils::{Stream, StreamRng};

/// A random convolution or pooling: sizes along up to three axes.
#[derive(Debug)]
struct Shape {
    rank: usize,
    batch: usize,
    groups: usize,
    channels: usize,
    outputs: usize,
    image: Vec<usize>,
    kernel: Vec<usize>,
    stride: Vec<usize>,
    dilation: Vec<usize>,
    begin: Vec<usize>,
    end: Vec<usize>,
    auto_pad: Option<&'static str>,
}

fn below(rng: &mut StreamRng, n: usize) -> usize {
    (rng.uniform() * n as f64) as usize
}

impl Shape {
    fn random(rng: &mut StreamRng) -> Self {
        let rank = 1 + below(rng, 3);
        let groups = 1 + below(rng, 3);
        let largest_image = [20, 9, 5][rank - 1];
        let mut list = |low: usize, n: usize| (0..rank).map(|_| low + below(rng, n)).collect::<Vec<_>>();
        let kernel = list(1, 4);
        let (stride, dilation) = (list(1, 3), list(1, 3));
        let (mut begin, mut end) = (list(0, 3), list(0, 3));
        // An image in which the kernel fits.
        let mut image = list(1, largest_image);
        for i in 0..rank {
            image[i] = image[i].max((kernel[i] - 1) * dilation[i] + 1);
        }
        let auto_pad = match below(rng, 5) {
            0 => Some("SAME_UPPER"),
            1 => Some("SAME_LOWER"),
            2 => Some("VALID"),
            _ => None,
        };
        for i in 0..rank {
            let extent = (kernel[i] - 1) * dilation[i] + 1;
            match auto_pad {
                None => {}
                Some("VALID") => (begin[i], end[i]) = (0, 0),
                Some(which) => {
                    let total =
                        ((image[i].div_ceil(stride[i]) - 1) * stride[i] + extent).saturating_sub(image[i]);
                    let small = total / 2;
                    (begin[i], end[i]) =
                        if which == "SAME_UPPER" { (small, total - small) } else { (total - small, small) };
                }
            }
        }
        let (channels, outputs) = (groups * (1 + below(rng, 3)), groups * (1 + below(rng, 3)));
        let batch = 1 + below(rng, 3);
        Self { rank, batch, groups, channels, outputs, image, kernel, stride, dilation, begin, end, auto_pad }
    }

    fn output(&self) -> Vec<usize> {
        let along = |i: usize| {
            let extent = (self.kernel[i] - 1) * self.dilation[i] + 1;
            (self.image[i] + self.begin[i] + self.end[i] - extent) / self.stride[i] + 1
        };
        (0..self.rank).map(along).collect()
    }

    fn attributes(&self, node: NodeDescription) -> NodeDescription {
        let wholes = |list: &[usize]| Attribute::Wholes(list.iter().map(|&n| n as i64).collect());
        let node = node
            .attribute("kernel_shape", wholes(&self.kernel))
            .attribute("strides", wholes(&self.stride))
            .attribute("dilations", wholes(&self.dilation));
        match self.auto_pad {
            Some(auto_pad) => node.attribute("auto_pad", Attribute::Text(auto_pad.to_owned())),
            None => node.attribute("pads", wholes(&[&self.begin[..], &self.end[..]].concat())),
        }
    }

    /// Calls `visit` with each position of the result, each element of the kernel, and the element of the
    /// image there, if there is one; all as flat indices.
    fn each(&self, mut visit: impl FnMut(usize, usize, Option<usize>)) {
        let output = self.output();
        let (positions, taps) = (output.iter().product(), self.kernel.iter().product::<usize>());
        for position in 0..positions {
            for tap in 0..taps {
                let (o, k) = (coordinates(position, &output), coordinates(tap, &self.kernel));
                let mut flat = Some(0);
                for i in 0..self.rank {
                    let at = (o[i] * self.stride[i] + k[i] * self.dilation[i]) as i64 - self.begin[i] as i64;
                    let inside = (0..self.image[i] as i64).contains(&at);
                    flat = flat.filter(|_| inside).map(|f| f * self.image[i] + at as usize);
                }
                visit(position, tap, flat);
            }
        }
    }
}

fn coordinates(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut list = vec![0; shape.len()];
    for i in (0..shape.len()).rev() {
        list[i] = index % shape[i];
        index /= shape[i];
    }
    list
}

fn random(rng: &mut StreamRng, shape: &[usize]) -> Tensor {
    let n = shape.iter().product();
    Tensor::new(shape, (0..n).map(|_| (2.0 * rng.uniform() - 1.0) as f32).collect()).unwrap()
}

/// Runs one node on `x` and constants.
fn run(node: NodeDescription, x: &Tensor, constants: &[(&str, &Tensor)]) -> Tensor {
    let mut builder = NetworkBuilder::new(17);
    let free = vec![Dimension::Free(None); x.shape().len()];
    builder.input(Port::new("x", ElementType::F32, &free)).node(node);
    builder.output(Port::new("y", ElementType::F32, &free));
    for (name, value) in constants {
        builder.constant(name, (*value).clone());
    }
    let network = Arc::new(builder.build(&ImportOptions::default()).unwrap());
    let executable = Executable::digital(network, backend()).unwrap();
    executable.run(&[("x", x.clone())]).unwrap().values.remove(0).1
}

#[track_caller]
fn compare(found: &Tensor, shape: &[usize], expected: &[f64], what: &dyn std::fmt::Debug) {
    assert_eq!(found.shape(), shape, "{what:?}");
    let expected: Vec<f32> = expected.iter().map(|&y| y as f32).collect();
    // Sums of at most some hundred products of f32, against f64.
    let bound = 1e-5 * largest(&expected).max(0.1);
    assert!(distance(found.as_f32().unwrap(), &expected) < bound, "{what:?}");
}

#[test]
fn convolutions_are_what_loops_over_the_definition_give() {
    for round in 0..300 {
        let mut rng = Stream::root(1, round).at([0, 0, 0]);
        let s = Shape::random(&mut rng);
        let per_group = s.channels / s.groups;
        let x = random(&mut rng, &[&[s.batch, s.channels], &s.image[..]].concat());
        let w = random(&mut rng, &[&[s.outputs, per_group], &s.kernel[..]].concat());
        let b = random(&mut rng, &[s.outputs]);
        let node = s
            .attributes(NodeDescription::new("Conv", &["x", "w", "b"], &["y"]))
            .attribute("group", Attribute::Whole(s.groups as i64));
        let found = run(node, &x, &[("w", &w), ("b", &b)]);
        let (image, taps): (usize, usize) = (s.image.iter().product(), s.kernel.iter().product());
        let output = s.output();
        let positions: usize = output.iter().product();
        let (xv, wv, bv) = (x.as_f32().unwrap(), w.as_f32().unwrap(), b.as_f32().unwrap());
        let mut expected = vec![0.0f64; s.batch * s.outputs * positions];
        for n in 0..s.batch {
            for o in 0..s.outputs {
                let group = o / (s.outputs / s.groups);
                let to = &mut expected[(n * s.outputs + o) * positions..][..positions];
                to.fill(f64::from(bv[o]));
                for c in 0..per_group {
                    let from = &xv[(n * s.channels + group * per_group + c) * image..][..image];
                    let kernel = &wv[(o * per_group + c) * taps..][..taps];
                    s.each(|position, tap, at| {
                        let value = at.map_or(0.0, |at| f64::from(from[at]));
                        to[position] += value * f64::from(kernel[tap]);
                    });
                }
            }
        }
        compare(&found, &[&[s.batch, s.outputs], &output[..]].concat(), &expected, &s);
    }
}

#[test]
fn poolings_are_what_loops_over_the_definition_give() {
    for round in 0..300 {
        let mut rng = Stream::root(2, round).at([0, 0, 0]);
        let mut s = Shape::random(&mut rng);
        // A window with nothing of the image in it has no maximum and no mean.
        for i in 0..s.rank {
            let extent = (s.kernel[i] - 1) * s.dilation[i];
            if extent < s.begin[i] || extent < s.end[i] || s.dilation[i] > s.image[i] {
                (s.begin[i], s.end[i], s.auto_pad) = (0, 0, None);
            }
        }
        let (x, count_padding) =
            (random(&mut rng, &[&[s.batch, s.channels], &s.image[..]].concat()), round % 2);
        let output = s.output();
        let (image, positions): (usize, usize) = (s.image.iter().product(), output.iter().product());
        let taps: usize = s.kernel.iter().product();
        let (mut most, mut mean) = (Vec::new(), Vec::new());
        for from in x.as_f32().unwrap().chunks_exact(image) {
            let mut maximum = vec![f64::NEG_INFINITY; positions];
            let mut sum = vec![(0.0, 0usize); positions];
            s.each(|position, _, at| {
                if let Some(at) = at {
                    maximum[position] = maximum[position].max(f64::from(from[at]));
                    sum[position].0 += f64::from(from[at]);
                    sum[position].1 += 1;
                }
            });
            most.extend(maximum);
            mean.extend(sum.iter().map(|(y, n)| y / if count_padding == 1 { taps } else { *n } as f64));
        }
        let shape = [&[s.batch, s.channels], &output[..]].concat();
        let found = run(s.attributes(NodeDescription::new("MaxPool", &["x"], &["y"])), &x, &[]);
        compare(&found, &shape, &most, &s);
        let average = s
            .attributes(NodeDescription::new("AveragePool", &["x"], &["y"]))
            .attribute("count_include_pad", Attribute::Whole(count_padding as i64));
        compare(&run(average, &x, &[]), &shape, &mean, &s);
    }
}

#[test]
fn a_transposed_convolution_is_the_transpose_of_the_convolution() {
    for round in 0..200 {
        let mut rng = Stream::root(3, round).at([0, 0, 0]);
        let mut s = Shape::random(&mut rng);
        s.auto_pad = None;
        // <conv(x), y> = <x, conv'(y)> for all x and y: the images must have the size that conv' gives,
        // so that the convolution leaves no rest at the end.
        for i in 0..s.rank {
            let extent = (s.kernel[i] - 1) * s.dilation[i] + 1;
            let rest = (s.image[i] + s.begin[i] + s.end[i] - extent) % s.stride[i];
            s.image[i] += if rest == 0 { 0 } else { s.stride[i] - rest };
        }
        let output = s.output();
        let x = random(&mut rng, &[&[s.batch, s.channels], &s.image[..]].concat());
        let y = random(&mut rng, &[&[s.batch, s.outputs], &output[..]].concat());
        let w = random(&mut rng, &[&[s.outputs, s.channels / s.groups], &s.kernel[..]].concat());
        let node = |operator: &str| {
            s.attributes(NodeDescription::new(operator, &["x", "w"], &["y"]))
                .attribute("group", Attribute::Whole(s.groups as i64))
        };
        let forward = run(node("Conv"), &x, &[("w", &w)]);
        let back = run(node("ConvTranspose"), &y, &[("w", &w)]);
        assert_eq!(back.shape(), x.shape(), "{s:?}");
        let dot = |a: &Tensor, b: &Tensor| -> f64 {
            let pairs = a.as_f32().unwrap().iter().zip(b.as_f32().unwrap());
            pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        let (left, right) = (dot(&forward, &y), dot(&x, &back));
        let scale = (dot(&forward, &forward) * dot(&y, &y)).sqrt().max(1e-3);
        assert!((left - right).abs() < 1e-5 * scale, "{s:?}: {left} {right}");
    }
}
