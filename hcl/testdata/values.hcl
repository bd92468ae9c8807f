stage "calibrate" "a" {
  policy       = "residnt"
  measurements = "values.hc"
  memory       = "352KHz"
  seed         = -1
}

stage "calibrate" "b" {
  policy       = true
  measurements = 3
  memory       = "1.5B"
  seed         = 9007199254740993
}

stage "search" "c" {
  platform = { name = "p", memory = "4 GiB", clok = 2 }
  limit    = { latency = "2min" }
  widths   = [0.3, 2.0, "x", null]
  rounds   = 2.5
  greedy   = "yes"
  name     = ["x"]
  scale    = "1"
}

stage "search" "d" {
  platform = [1]
  limit    = {}
  widths   = 1
  rounds   = stage.a.table
  name     = stage.a.table
  weights  = stage.a.residual
  greedy   = stage.a.residual
}

stage "search" "e" {
  platform = stage.c.best
  limit    = stage.a.platform
  widths   = stage.c.front
  rounds   = null
  weights  = ""
  name     = "${stage.a.table}"
}
