//! Compiles the emulator, where the feature `emulate` asks for it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "emulate")]
    emulator::build();
}

#[cfg(feature = "emulate")]
mod emulator {
    use std::fmt::Write;
    use std::path::PathBuf;

    /// Faults of kernels that tests must notice: a name, the kernel's file, its right text and a wrong one.
    const FAULTS: &[(&str, &str, &str, &str)] = &[
        ("missing_barrier", "product", "            __syncthreads();\n            auto", "            auto"),
        (
            "late_barrier",
            "product",
            "            __syncthreads();\n            for (unsigned i = threadIdx.x; i < DEPTH * WIDTH",
            "            for (unsigned i = threadIdx.x; i < DEPTH * WIDTH",
        ),
        (
            "divergent_barrier",
            "product",
            "    count(clipped, clips);",
            "    if (threadIdx.x < 100) __syncthreads();\n    count(clipped, clips);",
        ),
        ("tail_of_vectors", "product", "k < depth && v < height ?", "k < depth ?"),
        ("tail_of_word_lines", "product", "least(word_lines - from, DEPTH)", "DEPTH"),
        (
            "tail_of_bit_lines",
            "product",
            "if (warp + WARPS * i < height && j < used)",
            "if (warp + WARPS * i < height)",
        ),
        ("lost_lane", "product", "distance = 16", "distance = 8"),
        ("race", "convert", "half > 0; half /= 2) {\n            __syncthreads();", "half > 0; half /= 2) {"),
        (
            "tail_of_tile",
            "convert",
            "b < bit_lines; b += THREADS) {\n        const u64",
            "b + 1 < bit_lines; b += THREADS) {\n        const u64",
        ),
        (
            "fused_rounding",
            "common",
            "__fadd_rn(__fmul_rn(sum, steps.inverse), 0.5f)",
            "fmaf(sum, steps.inverse, 0.5f)",
        ),
        ("edge_of_image", "gather", "place >= geometry.padding", "place > geometry.padding"),
        (
            "race_of_leaf",
            "reduce",
            "k++) {\n        __syncthreads();\n        if (me",
            "k++) {\n        if (me",
        ),
        (
            "barrier_of_merge",
            "reduce",
            "rows + (u64)k * width;\n        __syncthreads();",
            "rows + (u64)k * width;",
        ),
        ("cell_of_leaf", "reduce", "i = threadIdx.x; i < h * w;", "i = threadIdx.x; i + 1 < h * w;"),
        ("row_of_merge", "reduce", "i = k + 1 + warp; i < n;", "i = k + 1 + warp; i + 1 < n;"),
        ("port_of_merge", "reduce", "second ? at - a : at", "at"),
        ("tail_of_sums", "noise", "at < noise.sums", "at <= noise.sums"),
        ("tail_of_word_line", "noise", "k < 4 && line + k < noise.word_lines", "k < 4"),
        ("place_of_draw", "noise", "column, noise.row, noise.key", "noise.row, column, noise.key"),
        ("tail_of_devices", "change", "device >= change.devices", "device > change.devices"),
        ("place_of_device", "change", "(unsigned)tile, row % change.word_lines", "(unsigned)tile, row"),
        ("rounding_of_state", "change", "* last + 0.5", "* last"),
    ];

    pub(super) fn build() {
        let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
        let read = |name: &str, extension: &str| {
            let path = format!("kernels/{name}.{extension}");
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
        };
        let mut faults = String::new();
        for (fault, file, right, wrong) in FAULTS {
            let common = *file == "common";
            let source = read(if common { "product" } else { file }, "cu");
            let source = if common {
                // Its own copy of what kernels share, which is otherwise included but once.
                source.replace("#include \"common.cuh\"", &read("common", "cuh").replace("#pragma once", ""))
            } else {
                source
            };
            assert_eq!(source.matches(right).count(), 1, "{fault}: the right text is in {file} once");
            let (source, prefix) = (source.replace(right, wrong), format!("{fault}:"));
            let _ = writeln!(
                faults,
                "#define PREFIX \"{prefix}\"\nnamespace fault_{fault} {{\n{source}}}\n#undef PREFIX"
            );
        }
        std::fs::write(out.join("faults.inc"), faults).expect("OUT_DIR can be written");
        let names: Vec<(&str, &str)> = FAULTS.iter().map(|(name, file, ..)| (*name, *file)).collect();
        std::fs::write(out.join("faults.rs"), format!("{names:?}")).expect("OUT_DIR can be written");
        println!("cargo:rerun-if-changed=kernels");
        println!("cargo:rerun-if-changed=emulator");
        cc::Build::new()
            .cpp(true)
            .std("c++17")
            .opt_level(2)
            .debug(false)
            .file("emulator/emulator.cpp")
            .include(out)
            .include("kernels")
            .define("EMULATE", None)
            // Sums and products stay apart, as nvcc is told, too.
            .flag("-ffp-contract=off")
            .warnings(false)
            .flag("-Wno-unknown-pragmas")
            .compile("memtorch_emulator");
    }
}
