stage "table" "a" {
  retry   = -1
  timeout = "10parsecs"
  resources {
    cpus   = "two"
    memory = "4GHz"
  }
  depends_on = [stage.b, stage.b.text, local.x, stage.nope]
}

stage "table" "b" {
  retry      = length(stage.a.text)
  resources  = 3
  depends_on = stage.c
}

stage "table" "c" {
  one {
    a = 1
  }
  any "label" {
  }
}

locals {
  x = 1
}
