stage "table" "a" {
  title = stage.a.text
}
