//! nonideal
