stage "search" "a" {
  platform = { name = "p", memory = 1 }
  widths   = [1]
  limit    = { latency = "1ms", energy = "10mJ" }
}

stage "search" "b" {
  for_each = toset(["x", "y"])
  platform = { name = "p", memory = 1 }
  widths   = [1]
  limit {
    latency = 1
  }
  greedy = true
  rounds = 200
}

# What goes together is judged before the values are known.
stage "search" "c" {
  platform = { name = "p", memory = 1 }
  widths   = stage.d.best.widths
  limit    = { latency = 1 }
  weights  = stage.d.weights
  scale    = stage.d.best.latency
}

stage "search" "d" {
  platform = { name = "p", memory = 1 }
  widths   = [1]
  limit    = { latency = 1 }
  greedy   = stage.c2.best.latency > 0
}

stage "search" "c2" {
  platform = { name = "p", memory = 1 }
  widths   = [1]
  limit    = { latency = 1 }
}

# That two attributes do not go together hangs on nothing else, known or not.
stage "search" "e" {
  platform = { name = "p", memory = 1 }
  widths   = [1]
  limit    = { latency = 1 }
  rounds   = stage.d.best.latency
  weights  = stage.d.weights
  scale    = stage.d.best.latency
}

# A value behind a quoted key is found, too.
stage "search" "quoted" {
  platform = { "name" = "p", "memory" = 1 }
  widths   = [1]
  limit    = { "latency" = 1, "energy" = 2 }
}
