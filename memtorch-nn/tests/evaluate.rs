//! Evaluation: what it counts, that it does not depend on threads or batches, and what it refuses.

mod common;

use std::sync::Arc;

use common::{Images, backend, labels, load, nearly_ideal};
use memtorch_crossbar::{FullScale, LinearConverter};
use memtorch_map::Hardware;
use memtorch_nn::{
    Attribute, Dimension, ElementType, EvaluateOptions, Evaluation, Executable, ImportOptions, LayerChoice,
    Network, NetworkBuilder, NnError, NodeDescription, Port, Samples, Tensor, evaluate, regression,
    relative_errors,
};
use memtorch_utils::Stream;

/// 6-bit converters, whose range follows the input: nothing may leak from one sample to another.
fn coarse(tile: usize) -> Hardware {
    let mut hardware = nearly_ideal(tile);
    let range = FullScale::Dynamic { overflow_rate: 0.0 };
    hardware.adc.converter = Arc::new(LinearConverter::new(6, range).unwrap());
    hardware
}

fn patched(network: &Arc<Network>, hardware: &Hardware) -> Executable {
    let choices = vec![LayerChoice::Memristive(Box::new(hardware.clone())); network.layers().len()];
    Executable::new(network.clone(), choices, Stream::root(7, 0), backend()).unwrap()
}

fn options(batch: usize, limit: usize) -> EvaluateOptions<'static> {
    EvaluateOptions { batch, limit: Some(limit), ..EvaluateOptions::default() }
}

#[test]
fn results_depend_neither_on_threads_nor_on_the_size_of_a_batch() {
    for name in ["fmnist-lenet5.onnx", "fmnist-mobilenetv2.onnx", "fmnist-lstm.onnx"] {
        let network = load(name, false);
        let run = |threads: usize, batch: usize| -> (Evaluation, Vec<Option<f64>>) {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let digital = Executable::digital(network.clone(), backend()).unwrap();
                let executable = patched(&network, &coarse(32));
                let evaluation =
                    evaluate(&executable, &mut Images::fashion(), &labels(), &options(batch, 70)).unwrap();
                let errors = relative_errors(&digital, &executable, &mut Images::fashion(), 9).unwrap();
                (evaluation, errors)
            })
        };
        let expected = run(1, 1);
        assert_eq!(expected.0.samples, 70);
        assert!(expected.0.reads.iter().all(|read| read.conversions.codes > 0));
        for (threads, batch) in [(1, 70), (2, 1), (2, 7), (2, 64)] {
            assert_eq!(run(threads, batch), expected, "{name} {threads} {batch}");
        }
    }
}

#[test]
fn one_image_has_the_logits_that_it_has_in_a_batch_bit_for_bit() {
    for name in ["fmnist-conv1d.onnx", "fmnist-mobilenetv2.onnx", "fmnist-lstm.onnx"] {
        let network = load(name, false);
        let executables =
            [Executable::digital(network.clone(), backend()).unwrap(), patched(&network, &coarse(32))];
        for executable in executables {
            let all = executable.run(&[("input", Images::fashion().first(11))]).unwrap();
            let all = all.values[0].1.as_f32().unwrap().to_vec();
            let images = Images::fashion().first(11);
            let values = images.as_f32().unwrap();
            for (i, image) in values.chunks_exact(784).enumerate() {
                let one = Tensor::new(&[1, 1, 28, 28], image.to_vec()).unwrap();
                let one = executable.run(&[("input", one)]).unwrap();
                let one = one.values[0].1.as_f32().unwrap();
                let bits = |list: &[f32]| list.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(one), bits(&all[i * 10..(i + 1) * 10]), "{name} {i}");
            }
        }
    }
}

/// One operator on vectors of so many numbers.
fn single(node: NodeDescription, width: usize, constants: &[(&str, Tensor)]) -> Arc<Network> {
    let mut builder = NetworkBuilder::new(17);
    let port = |name, n| Port::new(name, ElementType::F32, &[Dimension::Free(None), n]);
    builder.input(port("x", Dimension::Fixed(width))).node(node).output(port("y", Dimension::Free(None)));
    for (name, value) in constants {
        builder.constant(name, value.clone());
    }
    Arc::new(builder.build(&ImportOptions::default()).unwrap())
}

#[test]
fn ties_go_to_the_first_and_what_is_no_number_is_wrong() {
    let network = single(NodeDescription::new("Sqrt", &["x"], &["y"]), 3, &[]);
    let executable = Executable::digital(network, backend()).unwrap();
    let mut samples = Images::new(&[3], vec![4.0, 9.0, 9.0, 1.0, 1.0, 1.0, 4.0, -1.0, 1.0]);
    let evaluation = evaluate(&executable, &mut samples, &[1, 1, 0], &EvaluateOptions::default()).unwrap();
    assert_eq!(evaluation.predictions, [Some(1), Some(0), None]);
    assert_eq!(evaluation.correct, 1);
    assert_eq!(evaluation.warnings.len(), 1);
    assert!(evaluation.warnings[0].contains("1 of 3 samples"));
    // What is no number agrees with nothing.
    assert!((evaluation.agreement(&evaluation) - 2.0 / 3.0).abs() < 1e-12);
    assert!((evaluation.accuracy() - 1.0 / 3.0).abs() < 1e-12);
}

#[test]
fn labels_and_samples_that_do_not_fit_are_named() {
    let network = load("fmnist-mlp.onnx", false);
    let executable = Executable::digital(network, backend()).unwrap();
    let mut labels = labels();
    let short = evaluate(&executable, &mut Images::fashion(), &labels[..5], &EvaluateOptions::default());
    assert!(short.unwrap_err().to_string().contains("5 labels for 2000 samples"));
    labels[37] = 10;
    let wrong = evaluate(&executable, &mut Images::fashion(), &labels, &EvaluateOptions::default());
    assert!(matches!(wrong.unwrap_err(), NnError::Label { index: 37, label: 10, outputs: 10 }));
    // What the limit leaves out is not looked at.
    assert!(evaluate(&executable, &mut Images::fashion(), &labels, &options(8, 30)).is_ok());
    let mut colour = Images::new(&[3, 32, 32], vec![0.0; 3 * 32 * 32]);
    let error =
        evaluate(&executable, &mut colour, &[0], &EvaluateOptions::default()).unwrap_err().to_string();
    assert!(error.contains("[3, 32, 32]") && error.contains("[N, 1, 28, 28]"), "{error}");
    let mut broken = Images::new(&[1, 28, 28], vec![f32::NAN; 784]);
    let error =
        evaluate(&executable, &mut broken, &[0], &EvaluateOptions::default()).unwrap_err().to_string();
    assert!(error.contains("sample 0") && error.contains("NaN"), "{error}");
    // An axis of length 1 more or less is no difference.
    let mut plain = Images::new(&[28, 28], vec![0.0; 784]);
    assert!(evaluate(&executable, &mut plain, &[0], &EvaluateOptions::default()).is_ok());
    // Values without axes, as tables have them, take those of the input.
    let mut flat = Images::new(&[784], vec![0.0; 784]);
    assert!(evaluate(&executable, &mut flat, &[0], &EvaluateOptions::default()).is_ok());
    let mut short = Images::new(&[783], vec![0.0; 783]);
    assert!(evaluate(&executable, &mut short, &[0], &EvaluateOptions::default()).is_err());
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let executable = Executable::digital(load("fmnist-mlp.onnx", false), backend()).unwrap();
    let tensor = |shape: &[usize]| Tensor::new(shape, vec![0.0; shape.iter().product()]).unwrap();
    let error = |inputs: &[(&str, Tensor)]| executable.run(inputs).unwrap_err().to_string();
    assert!(error(&[]).contains("`input`"));
    assert!(error(&[("x", tensor(&[1]))]).contains("`input`"));
    let wrong = error(&[("input", tensor(&[2, 1, 28, 27]))]);
    assert!(wrong.contains("[2, 1, 28, 27]") && wrong.contains("[N, 1, 28, 28]"), "{wrong}");
    let whole = Tensor::whole(&[1, 1, 28, 28], vec![0; 784]).unwrap();
    assert!(error(&[("input", whole)]).contains("whole numbers"));
}

#[test]
fn a_choice_for_each_layer_is_needed_and_kept() {
    let network = load("fmnist-lenet5.onnx", false);
    let few = Executable::new(network.clone(), Vec::new(), Stream::root(0, 0), backend());
    assert!(matches!(few.unwrap_err(), NnError::Choices { found: 0, expected: 5 }));
    let mut choices = vec![LayerChoice::Memristive(Box::new(coarse(64))); 5];
    choices[4] = LayerChoice::Digital { reason: "patch = false".to_owned() };
    let mixed = Executable::new(network.clone(), choices, Stream::root(0, 0), backend()).unwrap();
    assert!(mixed.mapped(0).is_some() && mixed.reason(0).is_none());
    assert!(mixed.mapped(4).is_none());
    assert_eq!(mixed.reason(4), Some("patch = false"));
    let digital = Executable::digital(network, backend()).unwrap();
    let errors = relative_errors(&digital, &mixed, &mut Images::fashion(), 4).unwrap();
    assert!(errors[..4].iter().all(|error| error.is_some_and(|e| e > 1e-4 && e < 0.2)), "{errors:?}");
    assert_eq!(errors[4], None);
}

#[test]
fn the_relative_error_is_that_of_the_output_without_bias() {
    let values: Vec<f32> = (0..12).map(|i| ((i * 7 + 3) % 11) as f32 / 5.0 - 1.0).collect();
    let weights = Tensor::new(&[4, 3], values).unwrap();
    let node = NodeDescription::new("Gemm", &["x", "w", "b"], &["y"]);
    let bias = Tensor::new(&[3], vec![100.0, -100.0, 50.0]).unwrap();
    let network = single(node, 4, &[("w", weights.clone()), ("b", bias)]);
    // The same without bias, whose outputs can be looked at.
    let bare = single(NodeDescription::new("MatMul", &["x", "w"], &["y"]), 4, &[("w", weights)]);
    let inputs: Vec<f32> = (0..20).map(|i| ((i * 5 + 1) % 9) as f32 / 4.0 - 1.0).collect();
    let outputs = |executable: &Executable| {
        let x = Tensor::new(&[5, 4], inputs.clone()).unwrap();
        executable.run(&[("x", x)]).unwrap().values[0].1.as_f32().unwrap().to_vec()
    };
    let digital = outputs(&Executable::digital(bare.clone(), backend()).unwrap());
    let memristive = outputs(&patched(&bare, &coarse(2)));
    let norm = |list: &mut dyn Iterator<Item = f64>| list.map(|x| x * x).sum::<f64>().sqrt();
    let difference = digital.iter().zip(&memristive).map(|(a, b)| f64::from(*b) - f64::from(*a));
    let expected = norm(&mut difference.into_iter()) / norm(&mut digital.iter().map(|&x| f64::from(x)));
    assert!(expected > 1e-3);
    let executable = patched(&network, &coarse(2));
    let errors = relative_errors(
        &Executable::digital(network, backend()).unwrap(),
        &executable,
        &mut Images::new(&[4], inputs.clone()),
        32,
    );
    let found = errors.unwrap()[0].unwrap();
    // The norms are sums of f64.
    assert!((found - expected).abs() < 1e-9, "{found} {expected}");
}

#[test]
fn a_fixed_batch_is_kept() {
    let mut builder = NetworkBuilder::new(17);
    let port = |name| Port::new(name, ElementType::F32, &[Dimension::Fixed(2), Dimension::Fixed(3)]);
    builder
        .input(port("x"))
        .output(port("y"))
        .node(NodeDescription::new("Softmax", &["x"], &["y"]).attribute("axis", Attribute::Whole(1)));
    let network = Arc::new(builder.build(&ImportOptions::default()).unwrap());
    let executable = Executable::digital(network, backend()).unwrap();
    let mut four = Images::new(&[3], vec![0.1; 12]);
    assert_eq!(evaluate(&executable, &mut four, &[0; 4], &EvaluateOptions::default()).unwrap().correct, 4);
    let mut three = Images::new(&[3], vec![0.1; 9]);
    let error =
        evaluate(&executable, &mut three, &[0; 3], &EvaluateOptions::default()).unwrap_err().to_string();
    assert!(error.contains("batch of 1") && error.contains('2'), "{error}");
}

#[test]
fn the_five_largest_and_what_was_taken_for_what_are_counted() {
    let network = single(NodeDescription::new("Identity", &["x"], &["y"]), 7, &[]);
    let executable = Executable::digital(network, backend()).unwrap();
    // The label's output has 0, 4, 4 (with an equal one before it), 5 and 6 others before it.
    let rows = [
        [9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        [5.0, 4.0, 3.0, 2.0, 1.0, 0.0, -1.0],
        [3.0, 3.0, 3.0, 3.0, 3.0, 0.0, 0.0],
        [5.0, 4.0, 3.0, 2.0, 1.0, 0.0, -1.0],
        [f32::NEG_INFINITY; 7],
    ];
    // Only finite samples are fed: the last one says the same with the smallest numbers.
    let values: Vec<f32> = rows.iter().flatten().map(|x| x.max(f32::MIN)).collect();
    let mut images = Images::new(&[7], values);
    let found = evaluate(&executable, &mut images, &[0, 4, 4, 5, 6], &options(2, 5)).unwrap();
    assert_eq!((found.correct, found.top5, found.classes), (1, Some(3), 7));
    let confusion = found.confusion(&[0, 4, 4, 5, 6]);
    for ((label, class), count) in confusion.indexed_iter() {
        let expected = match (label, class) {
            (4, 0) => 2,
            (0 | 5 | 6, 0) => 1,
            _ => 0,
        };
        assert_eq!(*count, expected, "{label} {class}");
    }
}

#[test]
fn outputs_are_compared_with_real_numbers() {
    let network = single(NodeDescription::new("Identity", &["x"], &["y"]), 2, &[]);
    let executable = Executable::digital(network, backend()).unwrap();
    let targets = [1.0, 2.0, 3.0, 5.0, -1.0, 0.0];
    let outputs = [1.5, 2.0, 3.0, 4.0, 0.0, 0.5];
    for batch in [1, 2, 3] {
        let mut images = Images::new(&[2], outputs.to_vec());
        let found = regression(&executable, &mut images, &targets, &options(batch, 3)).unwrap();
        // By hand: differences 0.5, 0, 0, -1, 1, 0.5; the targets' mean is 5/3.
        assert_eq!((found.samples, found.mean_squared_error, found.mean_absolute_error), (3, 2.5 / 6.0, 0.5));
        let total: f64 = targets.iter().map(|t| (f64::from(*t) - 10.0 / 6.0).powi(2)).sum();
        assert!((found.r2.unwrap() - (1.0 - 2.5 / total)).abs() < 1e-12);
    }
    let mut images = Images::new(&[2], outputs.to_vec());
    let error = regression(&executable, &mut images, &targets[..5], &options(1, 3)).unwrap_err().to_string();
    assert!(error.contains("5 targets for 3 samples"), "{error}");
    let error = regression(&executable, &mut images, &targets[..3], &options(1, 3)).unwrap_err().to_string();
    assert!(error.contains("1 for each"), "{error}");
}

/// Words and real numbers: `y = embedding[words] + x`, and the words themselves.
#[test]
fn samples_go_to_several_inputs_and_one_of_several_outputs_is_looked_at() {
    struct Both {
        words: Vec<f32>,
        x: Images,
    }
    impl Samples for Both {
        fn len(&self) -> usize {
            self.words.len()
        }
        fn shape(&self) -> &[usize] {
            &[1]
        }
        fn read(
            &mut self,
            first: usize,
            values: &mut [f32],
        ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            values.copy_from_slice(&self.words[first..first + values.len()]);
            Ok(())
        }
        fn others(&self) -> Vec<(&str, &[usize])> {
            vec![("x", self.x.shape())]
        }
        fn read_other(
            &mut self,
            number: usize,
            first: usize,
            values: &mut [f32],
        ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            assert_eq!(number, 0);
            self.x.read(first, values)
        }
    }
    let mut builder = NetworkBuilder::new(17);
    let port =
        |name: &str, element, n| Port::new(name, element, &[Dimension::Free(None), Dimension::Fixed(n)]);
    let table: Vec<f32> = (0..8).map(|i| i as f32).collect();
    builder.input(port("x", ElementType::F32, 2)).input(port("words", ElementType::I64, 1));
    builder.constant("table", Tensor::new(&[4, 2], table).unwrap());
    builder.node(NodeDescription::new("Gather", &["table", "words"], &["e"]));
    builder.node(NodeDescription::new("Flatten", &["e"], &["f"]));
    builder.node(NodeDescription::new("Add", &["f", "x"], &["y"]));
    builder.node(NodeDescription::new("Neg", &["y"], &["z"]));
    builder.output(port("z", ElementType::F32, 2)).output(port("y", ElementType::F32, 2));
    let network = Arc::new(builder.build(&ImportOptions::default()).unwrap());
    let executable = Executable::digital(network, backend()).unwrap();
    let both = |words: &[f32]| Both {
        words: words.to_vec(),
        x: Images::new(&[2], vec![0.5, 0.0, 0.0, 0.25, -1.0, 1.0]),
    };
    let targets = [6.5, 7.0, 0.0, 1.25, 3.0, 6.0];
    let looked = |name| EvaluateOptions { output: Some(name), batch: 2, ..EvaluateOptions::default() };
    let run = |words: &[f32], name| regression(&executable, &mut both(words), &targets, &looked(name));
    assert_eq!(run(&[3.0, 0.0, 2.0], "y").unwrap().mean_absolute_error, 0.0);
    assert!(run(&[3.0, 0.0, 2.0], "z").unwrap().mean_absolute_error > 1.0);
    let error = |words: &[f32], name| run(words, name).unwrap_err().to_string();
    assert!(error(&[3.0, 0.5, 2.0], "y").contains("sample 1 is 0.5: expected a whole number"));
    assert!(error(&[3.0, 0.0, 2.0], "w").contains("no output `w`"));
    let one = EvaluateOptions::default();
    let ambiguous = regression(&executable, &mut both(&[0.0; 3]), &targets, &one).unwrap_err().to_string();
    assert!(ambiguous.contains("[\"z\", \"y\"]"), "{ambiguous}");
    let mut alone = Images::new(&[2], vec![0.0; 6]);
    let missing = regression(&executable, &mut alone, &targets, &looked("y")).unwrap_err().to_string();
    assert!(missing.contains("[\"x\", \"words\"]"), "{missing}");
}

/// Two networks that differ in an attribute only are two networks.
#[test]
fn a_saved_network_belongs_to_one_with_its_attributes() {
    let build = |alpha: f32, opset: i64| {
        let mut builder = NetworkBuilder::new(opset);
        let port =
            |name: &str| Port::new(name, ElementType::F32, &[Dimension::Free(None), Dimension::Fixed(2)]);
        builder.input(port("x")).output(port("y"));
        builder.constant("w", Tensor::new(&[2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap());
        let leaky = NodeDescription::new("LeakyRelu", &["h"], &["y"]);
        builder.node(NodeDescription::new("MatMul", &["x", "w"], &["h"]));
        builder.node(leaky.attribute("alpha", Attribute::Real(alpha)));
        Arc::new(builder.build(&ImportOptions::default()).unwrap())
    };
    let saved = memtorch_nn::Saved::new(&patched(&build(0.1, 17), &coarse(8))).unwrap();
    saved.check(&build(0.1, 17)).unwrap();
    for other in [build(0.2, 17), build(0.1, 16)] {
        let error = saved.check(&other).unwrap_err().to_string();
        assert!(error.contains("fingerprint") && error.contains("nodes differ"), "{error}");
    }
}

/// examples/xor.safetensors was written by safetensors' own Python package from a PyTorch state dict.
#[test]
fn weights_are_taken_by_name_from_safetensors_files() {
    let file = common::root().join("../examples/xor.safetensors");
    let build = |first: &str| {
        let mut builder = NetworkBuilder::new(17);
        builder.safetensors(&file).unwrap();
        let port =
            |name: &str, n| Port::new(name, ElementType::F32, &[Dimension::Free(None), Dimension::Fixed(n)]);
        let linear = |x: &str, layer: &str, y: &str| {
            let (weight, bias) = (format!("{layer}.weight"), format!("{layer}.bias"));
            NodeDescription::new("Gemm", &[x, &weight, &bias], &[y]).attribute("transB", Attribute::Whole(1))
        };
        builder.input(port("x", 2)).node(linear("x", first, "a"));
        builder.node(NodeDescription::new("Tanh", &["a"], &["b"])).node(linear("b", "2", "y"));
        builder.output(port("y", 1));
        builder.build(&ImportOptions::default())
    };
    let network = Arc::new(build("0").unwrap());
    let names: Vec<&str> = network.layers().iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["0", "2"]);
    let executable = Executable::digital(network, backend()).unwrap();
    let x = Tensor::new(&[4, 2], vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]).unwrap();
    let y = executable.run(&[("x", x)]).unwrap().values.remove(0).1;
    // It was trained to be the exclusive or, to a mean squared error of 2.2e-5.
    for (y, expected) in y.as_f32().unwrap().iter().zip([0.0, 1.0, 1.0, 0.0]) {
        assert!((y - expected).abs() < 0.02, "{y} {expected}");
    }
    let error = build("1").unwrap_err().to_string();
    assert!(error.contains("1.weight"), "{error}");
    let bytes = std::fs::read(&file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.safetensors");
    for end in [0, 4, 100, bytes.len() - 1] {
        std::fs::write(&bad, &bytes[..end]).unwrap();
        let error = NetworkBuilder::new(17).safetensors(&bad).unwrap_err().to_string();
        assert!(error.contains("bad.safetensors"), "{error}");
    }
    assert!(NetworkBuilder::new(17).safetensors(folder.path().join("gone")).is_err());
}
