//! Convolutions, transposed ones and poolings.

use memtorch_nn::{Attribute, NodeDescription, Tensor};
use memtorch_utils::{Stream, StreamRng};

use crate::{below, compare, coordinates, random, real, run};

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
        let ran = run(node, &["y"], &x, &[("w", &w), ("b", &b)]);
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
        assert_eq!(ran.layers, 1);
        compare(&ran, 0, &[&[s.batch, s.outputs], &output[..]].concat(), &expected, &s);
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
        let largest = s.attributes(NodeDescription::new("MaxPool", &["x"], &["y"]));
        compare(&run(largest, &["y"], &x, &[]), 0, &shape, &most, &s);
        let average = s
            .attributes(NodeDescription::new("AveragePool", &["x"], &["y"]))
            .attribute("count_include_pad", Attribute::Whole(count_padding as i64));
        compare(&run(average, &["y"], &x, &[]), 0, &shape, &mean, &s);
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
        let forward = run(node("Conv"), &["y"], &x, &[("w", &w)]).digital.remove(0);
        let back = run(node("ConvTranspose"), &["y"], &y, &[("w", &w)]).digital.remove(0);
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

/// Groups, strides, dilation, output padding, every kind of padding, and stated sizes.
#[test]
fn transposed_convolutions_are_what_loops_over_the_definition_give() {
    for round in 0..300 {
        let mut rng = Stream::root(4, round).at([0, 0, 0]);
        let s = Shape::random(&mut rng);
        // Here `image` is what goes in; it may be smaller than the kernel.
        let most = [12, 6, 3][s.rank - 1];
        let image: Vec<usize> = (0..s.rank).map(|_| 1 + below(&mut rng, most)).collect();
        let extra: Vec<usize> =
            (0..s.rank).map(|i| below(&mut rng, s.stride[i].max(s.dilation[i]))).collect();
        let (states_size, lengthened) = (below(&mut rng, 4) == 0, below(&mut rng, 3));
        let (mut begin, mut output) = (s.begin.clone(), Vec::new());
        let mut end = s.end.clone();
        for i in 0..s.rank {
            let whole = s.stride[i] * (image[i] - 1) + (s.kernel[i] - 1) * s.dilation[i] + 1 + extra[i];
            match (s.auto_pad, states_size) {
                (Some("VALID"), false) => (begin[i], end[i]) = (0, 0),
                (None, false) => {
                    (begin[i], end[i]) = (begin[i].min((whole - 1) / 2), end[i].min((whole - 1) / 2));
                }
                (which, _) => {
                    let size =
                        if states_size { whole.div_ceil(2) + lengthened } else { image[i] * s.stride[i] };
                    let total = whole.saturating_sub(size);
                    begin[i] = if which == Some("SAME_UPPER") { total / 2 } else { total - total / 2 };
                    output.push(size);
                    continue;
                }
            }
            output.push(whole - begin[i] - end[i]);
        }
        let wholes = |list: &[usize]| Attribute::Wholes(list.iter().map(|&n| n as i64).collect());
        let mut node = NodeDescription::new("ConvTranspose", &["x", "w", "b"], &["y"])
            .attribute("group", Attribute::Whole(s.groups as i64))
            .attribute("strides", wholes(&s.stride))
            .attribute("dilations", wholes(&s.dilation))
            .attribute("output_padding", wholes(&extra));
        node = match s.auto_pad {
            Some(auto_pad) => node.attribute("auto_pad", Attribute::Text(auto_pad.to_owned())),
            None if states_size => node,
            None => node.attribute("pads", wholes(&[&begin[..], &end[..]].concat())),
        };
        if states_size {
            node = node.attribute("output_shape", wholes(&output));
        }
        let per_group = s.outputs / s.groups;
        let x = random(&mut rng, &[&[s.batch, s.channels], &image[..]].concat());
        let w = random(&mut rng, &[&[s.channels, per_group], &s.kernel[..]].concat());
        let b = random(&mut rng, &[s.outputs]);
        let (pixels, taps): (usize, usize) = (image.iter().product(), s.kernel.iter().product());
        let positions: usize = output.iter().product();
        let (xv, wv, bv) = (real(&x), real(&w), real(&b));
        let mut expected: Vec<f64> =
            (0..s.batch * s.outputs * positions).map(|at| bv[at / positions % s.outputs]).collect();
        // Every pixel is spread by the kernel.
        for (at, value) in xv.iter().enumerate() {
            let (sample, c, pixel) = (at / pixels / s.channels, at / pixels % s.channels, at % pixels);
            let group = c / (s.channels / s.groups);
            for tap in 0..taps {
                let (p, k) = (coordinates(pixel, &image), coordinates(tap, &s.kernel));
                let mut to = Some(0);
                for i in 0..s.rank {
                    let line = (p[i] * s.stride[i] + k[i] * s.dilation[i]).checked_sub(begin[i]);
                    let line = line.filter(|line| *line < output[i]);
                    to = to.zip(line).map(|(to, line)| to * output[i] + line);
                }
                let Some(to) = to else { continue };
                for o in 0..per_group {
                    let image = sample * s.outputs + group * per_group + o;
                    expected[image * positions + to] += value * wv[(c * per_group + o) * taps + tap];
                }
            }
        }
        let ran = run(node, &["y"], &x, &[("w", &w), ("b", &b)]);
        assert_eq!(ran.layers, 1);
        let shape = [&[s.batch, s.outputs], &output[..]].concat();
        compare(&ran, 0, &shape, &expected, &(&s, &image, &extra, &output));
    }
}
