# The whole chain in under half a minute, without any data: a generated set of coloured shapes, a small
# elastic space, and an NPU whose memory is too small for it. It ends with a page of tables and figures.
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

stage "plot" "blocks" {
  title = "What a block needs, at width 1 and 32 pixels"
  x     = { title = "block" }
  y     = { title = "memory", unit = "KiB", scale = 1 / 1024 }
  series = [
    { name = "activations", mark = "bars", rows = stage.memory.blocks, x = "name", y = "activations" },
    { name = "weights", mark = "bars", rows = stage.memory.blocks, x = "name", y = "weights" },
  ]
  lines = [{ name = "the NPU's local memory", at = stage.memory.memory }]
}

stage "plot" "training" {
  title = "Training the supernet"
  x     = { title = "epoch" }
  y     = { title = "top-1", unit = "%", scale = 100 }
  series = [
    { name = "largest subnet", mark = "line", file = stage.supernet.curve, x = "epoch", y = "top1_largest", like = stage.supernet.top1_largest },
    { name = "smallest subnet", mark = "line", file = stage.supernet.curve, x = "epoch", y = "top1_smallest", like = stage.supernet.top1_smallest },
  ]
}

stage "report" "page" {
  title = "Quickstart: coloured shapes on a small NPU"
  text  = "A search space that is shaped by the NPU's memory, one supernet for all of it, and the subnets that it holds for two latency limits."
  sections = [
    {
      title   = "Memory"
      text    = join("\n", [for line in stage.memory.summary : "- ${line}"])
      figures = [stage.blocks.svg]
    },
    {
      title = "Progressive widths"
      text  = join("\n", [for line in stage.widths.summary : "- ${line}"])
    },
    { title = "Supernet", figures = [stage.training.svg] },
    {
      title  = "Found"
      text   = join("\n", [for line in stage.deployed["4ms"].summary : "- ${line}"])
      tables = [stage.subnets.html]
    },
  ]
  recipe = path.file
}

output "subnets" {
  description = "What was found, as a table."
  value       = stage.subnets.text
}

output "summary" {
  description = "What the larger one costs, in words."
  value       = stage.deployed["4ms"].summary
}

output "page" {
  description = "All of it, for a browser."
  value       = stage.page.html
}
