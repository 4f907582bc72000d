//! memtorch
