stage "table" "a" {
  for_each = ["x", "y", "z"]
  title    = each.key == "x" ? "" : stage.a["x"].text
}
