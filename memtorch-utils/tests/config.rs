//! Configurations: what is right is completed, what is wrong is named.

use memtorch_utils::Shape;
use memtorch_utils::config::{Default, Field, Kind, Table, Value, check, check_value, distribution, nearest};

const FIELDS: &[Field] = &[
    Field::new("bits", Kind::Integer, Default::Integer(8), "bits").range(0.0, 24.0),
    Field::new("voltage", Kind::Real, Default::Real(0.3), "voltage").unit("V").range(0.0, 10.0),
    Field::new("r_on", Kind::Parameter, Default::Required, "resistance").range(1.0, f64::INFINITY),
    Field::new("range", Kind::ChoiceOrReal(&["dynamic", "calibrated"]), Default::Text("dynamic"), "range"),
    Field::new("cell", Kind::Choice(&["1t1r", "0t1r"]), Default::Absent, "cell"),
    Field::new("serial", Kind::Bool, Default::Bool(false), "serial"),
    Field::new("levels", Kind::Reals, Default::Reals(&[1.0, 2.0]), "levels"),
    Field::new("tile", Kind::Any, Default::Integers(&[128, 64]), "tile"),
    Field::new("name", Kind::Text, Default::Text(""), "name"),
];

fn table(entries: &[(&str, Value)]) -> Table {
    entries.iter().map(|(key, value)| (*key, value.clone())).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn normal(mean: f64, std: f64) -> Table {
    let inner = table(&[("mean", Value::Real(mean)), ("std", Value::Real(std))]);
    table(&[("normal", Value::Table(inner))])
}

#[test]
fn a_table_is_completed_in_the_order_of_the_fields() {
    let given = table(&[("voltage", Value::Integer(1)), ("r_on", Value::Integer(50))]);
    let checked = check(FIELDS, &given).unwrap();
    let expected = table(&[
        ("bits", Value::Integer(8)),
        // Whole numbers are taken for reals.
        ("voltage", Value::Real(1.0)),
        ("r_on", Value::Real(50.0)),
        ("range", text("dynamic")),
        ("serial", Value::Bool(false)),
        ("levels", Value::List(vec![Value::Real(1.0), Value::Real(2.0)])),
        ("tile", Value::List(vec![Value::Integer(128), Value::Integer(64)])),
        ("name", text("")),
    ]);
    assert_eq!(checked, expected);
    // What is complete stays what it is.
    assert_eq!(check(FIELDS, &checked).unwrap(), expected);
}

#[test]
fn every_wrong_value_is_named_with_what_was_expected() {
    for (key, value, expected) in [
        ("bits", Value::Integer(25), "a whole number from 0 to 24"),
        ("bits", Value::Real(8.0), "a whole number from 0 to 24"),
        ("bits", text("8"), "a whole number from 0 to 24"),
        ("voltage", Value::Real(-0.1), "a number from 0 to 10"),
        ("voltage", Value::Real(f64::NAN), "a number from 0 to 10"),
        ("voltage", Value::Bool(true), "a number from 0 to 10"),
        ("r_on", Value::Real(0.5), "a number of at least 1 or a distribution"),
        ("r_on", Value::Real(f64::INFINITY), "or a distribution"),
        ("range", text("dinamic"), "one of \"dynamic\", \"calibrated\", or a number"),
        ("range", Value::Bool(true), "or a number"),
        ("cell", text("2t1r"), "one of \"1t1r\", \"0t1r\""),
        ("cell", Value::Integer(1), "one of \"1t1r\", \"0t1r\""),
        ("serial", Value::Integer(1), "true or false"),
        ("levels", Value::List(vec![text("a")]), "a list of numbers"),
        ("levels", Value::List(vec![Value::Real(f64::NAN)]), "a list of numbers"),
        ("levels", Value::Real(1.0), "a list of numbers"),
        ("name", Value::Integer(1), "text"),
    ] {
        let mut given = table(&[("r_on", Value::Real(50.0))]);
        given.insert(key, value.clone());
        let error = check(FIELDS, &given).unwrap_err();
        assert_eq!(error.key(), key);
        let message = error.to_string();
        assert!(message.contains(expected) && message.contains(&value.to_string()), "{message}");
    }
}

#[test]
fn unknown_and_missing_keys_are_named() {
    let error =
        check(FIELDS, &table(&[("r_on", Value::Real(1.0)), ("volage", Value::Real(1.0))])).unwrap_err();
    assert_eq!(error.to_string(), "unknown key `volage`: did you mean `voltage`?");
    let error = check(FIELDS, &table(&[("frequency", Value::Real(1.0))])).unwrap_err();
    assert_eq!(error.to_string(), "unknown key `frequency`");
    let error = check(FIELDS, &Table::new()).unwrap_err().under("device");
    assert_eq!(
        error.to_string(),
        "missing key `device.r_on`: expected a number of at least 1 or a distribution"
    );
}

#[test]
fn distributions_are_read_with_their_limits() {
    let mut entries = normal(5.0, 2.0);
    entries.insert("min", Value::Integer(4));
    let found = distribution(&entries).unwrap();
    assert_eq!(found.shape(), Shape::Normal { mean: 5.0, std: 2.0 });
    assert_eq!(found.limits(), (4.0, f64::INFINITY));
    let field = FIELDS[2];
    assert_eq!(check_value(&field, &Value::Table(entries.clone())), Ok(Value::Table(entries)));
    for (entries, words) in [
        (normal(5.0, -2.0), "`r_on.normal.std` = -2.0"),
        (table(&[("gaussian", Value::Real(1.0))]), "unknown key `r_on.gaussian`"),
        (table(&[("normal", Value::Real(1.0))]), "a table with mean and std"),
        (table(&[("min", Value::Real(1.0))]), "missing key `r_on.normal`"),
        (
            table(&[("normal", Value::Table(table(&[("mean", Value::Real(1.0))])))]),
            "missing key `r_on.normal.std`",
        ),
    ] {
        let error = check_value(&field, &Value::Table(entries)).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let mut two = normal(5.0, 2.0);
    two.insert("uniform", Value::Table(table(&[("low", Value::Real(0.0)), ("high", Value::Real(1.0))])));
    assert!(distribution(&two).unwrap_err().to_string().contains("one of normal"));
    let mut limits = normal(5.0, 2.0);
    limits.insert("min", Value::Real(2.0));
    limits.insert("max", Value::Real(1.0));
    assert!(distribution(&limits).unwrap_err().to_string().contains("at most max = 1.0"));
}

#[test]
fn the_nearest_name_is_near() {
    let names = ["line_resistance", "source_resistance", "bits", "tile"];
    assert_eq!(nearest("lineResistance", names), Some("line_resistance"));
    assert_eq!(nearest("line-resistance", names), Some("line_resistance"));
    assert_eq!(nearest("bit", names), Some("bits"));
    assert_eq!(nearest("titel", names), Some("tile"));
    assert_eq!(nearest("temperature", names), None);
}

#[test]
fn values_are_shown_as_toml_reads_them() {
    let value = Value::Table(table(&[
        ("a", Value::List(vec![Value::Integer(1), Value::Real(1e-10), Value::Real(2.0)])),
        ("b", text("x \"y\"")),
        ("c", Value::Real(f64::NEG_INFINITY)),
        ("d", Value::Bool(true)),
    ]));
    assert_eq!(value.to_string(), "{ a = [1, 1e-10, 2.0], b = \"x \\\"y\\\"\", c = -inf, d = true }");
}

#[test]
fn bounds_are_told_in_words() {
    let of = |low, high| Field::new("x", Kind::Real, Default::Absent, "x").range(low, high).expected();
    assert_eq!(of(f64::MIN_POSITIVE, f64::INFINITY), "a positive number");
    assert_eq!(of(f64::MIN_POSITIVE, 1e6), "a positive number of at most 1000000");
    assert_eq!(of(0.0, 1.0), "a number from 0 to 1");
    assert_eq!(of(f64::NEG_INFINITY, 1e-9), "a number of at most 1e-9");
}
