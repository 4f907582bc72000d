//! Draws of fixed seeds. A change here changes the results of every experiment: it is breaking and belongs
//! in the changelog as such.

use memtorch_utils::random::stable_hash;
use memtorch_utils::{Distribution, Shape, Stream};

#[test]
fn streams_keep_their_keys_and_words() {
    let root = Stream::root(42, 1);
    assert_eq!(root.key(), [0xf1dc_fe03, 0x51d2_236f]);
    assert_eq!(root.child(0).key(), [0xe1a2_6dc7, 0x11e3_eb89]);
    assert_eq!(root.child(u64::MAX).key(), [0x3706_d0f6, 0xdd20_67d9]);
    assert_eq!(root.named("fc1.weight").key(), [0x069d_3a0e, 0x1e21_e4a1]);
    assert_eq!(stable_hash("fc1.weight"), 0x0fc5_ab63_8962_69ed);
    assert_eq!(root.words([1, 2, 3], 4), [0x4905_1890, 0x9534_a3cd, 0x8ede_d422, 0x742a_08eb]);
    let mut rng = root.at([1, 2, 3]);
    let uniform = [0.646_367_045_571_746_4, 0.335_287_010_114_919_35, 0.087_449_050_028_712_06];
    assert_eq!([rng.uniform(), rng.uniform(), rng.uniform()], uniform);
}

#[test]
fn distributions_keep_their_draws() {
    let root = Stream::root(42, 1);
    for (shape, expected) in [
        (
            Shape::Normal { mean: 0.0, std: 1.0 },
            [-0.898_903_889_114_352_3, 0.259_834_576_173_493_4, 1.416_564_673_648_826],
        ),
        (
            Shape::Lognormal { median: 1.0, sigma_ln: 0.5 },
            [0.637_977_702_978_779_8, 1.138_734_192_545_573_4, 2.030_500_545_555_214_3],
        ),
        (
            Shape::Uniform { low: -1.0, high: 1.0 },
            [-0.934_349_227_597_221_4, 0.282_767_537_033_497_66, 0.930_846_275_323_446_3],
        ),
        (
            Shape::Gamma { shape: 2.5, scale: 1.0 },
            [1.094_582_752_130_750_5, 2.572_078_874_580_621_6, 4.992_202_173_123_605],
        ),
        (
            Shape::Gamma { shape: 0.5, scale: 1.0 },
            [0.001_422_996_163_601_146, 0.587_510_564_267_361, 0.386_223_636_096_849_45],
        ),
        (
            Shape::Weibull { shape: 1.5, scale: 2.0 },
            [4.536_860_701_793_115, 1.164_219_781_845_450_7, 0.214_766_337_393_780_07],
        ),
    ] {
        let distribution = Distribution::new(shape, f64::NEG_INFINITY, f64::INFINITY).unwrap();
        for (i, expected) in (0..).zip(expected) {
            let found = distribution.sample(&mut root.at([0, i, 7]));
            // exp, ln and powers differ by a few units in the last place between systems.
            assert!(
                (found - expected).abs() <= 1e-14 * expected.abs(),
                "{shape:?} {i}: {found:?} {expected:?}"
            );
        }
    }
}
