//! The functions of `template.yaml`, made from the route table.

/// The block between the markers of the template.
pub fn functions() -> String {
    String::new()
}
