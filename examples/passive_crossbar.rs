//! A passive crossbar alone: what its wires cost, where, and which devices matter.
//!
//! `cargo run --release --example passive_crossbar`

use memtorch::crossbar::ndarray::{Array, Array2};
use memtorch::crossbar::passive::{
    Auto, Detail, Newton, Ohmic, OperatingPoint, PassiveCircuit, PassiveSolver, Sinh, Wiring, reduce,
    sensitivity,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // 64 word lines, 32 bit lines; devices of 10 or 100 kiloohm.
    let conductances =
        Array2::from_shape_fn((64, 32), |(i, j)| if (i * 5 + j * 3) % 7 < 3 { 1e-4 } else { 1e-5 });
    // 50 ohm at each source and sink, 2 ohm from cell to cell.
    let circuit = PassiveCircuit::new(conductances, Wiring::new(50.0, 2.0))?;
    let (word, bit) = (Array::from_elem((1, 64), 0.2), Array::zeros((1, 32)));

    let solution = Auto::default().solve(&circuit, word.view(), bit.view(), Detail::Nodes)?;
    let ideal = word.dot(&circuit.conductances());
    println!("method: {}", solution.method);
    println!("column 0: {:.4e} A, without wires {:.4e} A", solution.column_currents[(0, 0)], ideal[(0, 0)]);

    let point = OperatingPoint::new(&circuit, &Ohmic, &solution, 0, word.row(0), bit.row(0))?;
    let (drop, power) = (point.worst_drop, point.power);
    println!(
        "most is lost at word line {}, bit line {}: {:.1} mV of {:.0} mV",
        drop.word_line,
        drop.bit_line,
        1e3 * drop.lost,
        1e3 * drop.applied
    );
    println!("power: {:.3e} W, of it {:.3e} W in the wires", power.sources, power.wires);

    // Many inputs: reduce once, then multiply.
    let effective = reduce(&circuit);
    let currents = effective.column_currents(word.view(), bit.view());
    println!("column 0 from the effective conductances: {:.4e} A", currents[(0, 0)]);

    // Which device does column 0 hang on?
    let sensitivity = sensitivity(&circuit, &Auto::default(), word.row(0), bit.row(0), 0)?;
    let largest = sensitivity.indexed_iter().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    if let Some(((row, column), volts)) = largest {
        println!("dI/dg is largest for the device at word line {row}, bit line {column}: {volts:.4} V");
    }

    // Devices with a bent characteristic.
    let bent =
        Newton::default().solve(&circuit, &Sinh::new(5.0)?, word.view(), bit.view(), Detail::Currents)?;
    println!("column 0 with i = g sinh(5 v) / 5: {:.4e} A", bent.column_currents[(0, 0)]);
    Ok(())
}
