variable "resolution" {
  default = 224
}

locals {
  widths = [0.3, 1]
}

stage "calibrte" "raptor" {
  policy = "resident"
}

stage "calibrate" "chip" {
  policy = resident
  polcy  = "tiled"
}

stage "search" "net" {
  platform = stage.chp.platform
  limit    = { latncy = 1, latency = stage.chip.resdual }
  widths   = local.width
  rounds   = var.resolutoin
  name     = locals.widths
  greedy   = chip.residual
  stages   = 3
}

stage "table" "t" {
  title = uper("x")
  any   = stage.net.best.latncy
  one   = stage.net.front[0].acuracy
  rows  = [for s in [stage.net] : { a = s.best.acuracy }]
}

step "table" "u" {
}

output "o" {
  value = stage
  doc   = "x"
}

name = "outside"
