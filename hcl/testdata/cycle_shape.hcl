stage "table" "a" {
  for_each = stage.b
}

stage "table" "b" {
  for_each = keys(stage.c)
}

stage "table" "c" {
  for_each = ["x"]
  when     = length(stage.a) > 0
}

stage "table" "d" {
  any   = stage.a
  title = 3 + "x"
}
