# The whole chain in under a minute, without any data: a generated set of coloured shapes, a small
# elastic space, and an NPU whose memory is too small for it.
#
#   go run ./cmd/runner run examples/quickstart.hcl

variable "epochs" {
  description = "Passes over the training images."
  type        = number
  default     = 5
}

locals {
  # MobileNetV2's shape at a laptop's scale (table 2 of the paper is the full one).
  backbone = {
    input = 3
    stem  = { channels = 16, kernel = 3, stride = 2 }
    groups = [
      { t = 1, c = 8, n = 1, s = 1 },
      { t = 6, c = 16, n = 2, s = 1 },
      { t = 6, c = 24, n = 2, s = 2 },
      { t = 6, c = 32, n = 1, s = 2 },
    ]
    head    = 64
    classes = 12
  }

  # TinyRAPTOR with a memory that is small for these networks, as the real one is for ImageNet's.
  platform = { preset = "tinyraptor", name = "TinyRAPTOR, 12 KiB", memory = "12KiB", weight_limit = "8KiB" }
}

stage "dataset" "shapes" {
  source = "shapes"
  size   = 32
  train  = 3000
  test   = 1000
  seed   = 1
}

stage "analyze-memory" "memory" {
  platform = local.platform
  network  = { backbone = local.backbone, width = 1, resolution = 32 }
}

stage "progressive-grid" "widths" {
  platform    = local.platform
  backbone    = local.backbone
  resolutions = [32]
  min         = 0.5
  max         = 1.5
  step        = 0.5
}

stage "train-supernet" "supernet" {
  dataset = stage.shapes.dataset
  space = {
    backbone    = local.backbone
    widths      = stage.widths.best.widths
    resolutions = [24, 32]
    expansions  = [3, 6]
    depths      = [1, 2]
    kernels     = [3, 5]
  }
  epochs = var.epochs
  rate   = 0.1
  seed   = 1
}

stage "evolve" "found" {
  for_each = { "2ms" = "2ms", "4ms" = "4ms" }
  name     = "subnet under ${each.key}"
  supernet = stage.supernet.weights
  dataset  = stage.shapes.dataset
  platform = local.platform
  limit    = { latency = each.value }
}

stage "deploy-estimate" "deployed" {
  for_each = stage.found
  platform = local.platform
  network  = each.value.network
}

stage "table" "subnets" {
  title = "Subnets found under a latency limit"
  rows  = [for name, s in stage.found : s.best]
  columns = [
    { key = "name", title = "network" },
    { key = "resolution", title = "R" },
    { key = "latency", unit = "ms", scale = 1000, format = "%.2f", best = "min" },
    { key = "energy", unit = "J", format = "si" },
    { key = "mu", title = "μ", format = "%.3f" },
    { key = "macs", title = "MACs", format = "si" },
    { key = "top1", title = "top-1", format = "percent", best = "max" },
  ]
}

output "subnets" {
  description = "What was found, as a table."
  value       = stage.subnets.text
}

output "summary" {
  description = "What the larger one costs, in words."
  value       = stage.deployed["4ms"].summary
}
