# A small page: what the browser test looks at.

variable "size" {
  type    = number
  default = 16
}

locals {
  memory = 352 * 1024
  blocks = [for i in range(17) : { block = "bottleneck ${i + 1}", bytes = floor(1200000 / (i + 1)) }]
  paper = [
    { network = "RaptorNet", latency = published(0.0697, "Castagnetti et al., table 3"), top1 = published(0.614, "Castagnetti et al., table 3") },
    { network = "MobileNetV2 0.35", latency = published(0.106, "Castagnetti et al., table 3"), top1 = published(0.58, "Castagnetti et al., table 3") },
    { network = "MCUNet (STM32)", latency = published(0.2, "Castagnetti et al., table 3"), top1 = null },
    { network = "MobileNetV2 0.5", latency = published(0.0871, "Castagnetti et al., table 3"), top1 = published(0.61, "Castagnetti et al., table 3") },
  ]
}

stage "dataset" "images" {
  for_each = { few = 24, more = 48 }
  source   = "shapes"
  train    = each.value
  test     = 12
  size     = var.size
}

stage "table" "table3" {
  title   = "Table 3"
  caption = "As printed."
  columns = [
    { key = "network" },
    { key = "latency", unit = "ms", scale = 1000, format = "%.1f", best = "min" },
    { key = "top1", title = "top-1", format = "percent", best = "max" },
  ]
  rows = local.paper
}

stage "table" "sets" {
  title   = "The sets"
  columns = [
    { key = "name" },
    { key = "set.train.count", title = "training", group = "images", format = "integer" },
    { key = "set.mean", title = "mean", format = "%.3f" },
  ]
  rows = [for k, s in stage.images : { name = k, set = s.dataset }]
}

stage "plot" "figure1" {
  title = "Figure 1. Memory per block of MobileNetV2, with a title that is long enough to need a second line"
  x     = { title = "block" }
  y     = { title = "memory", unit = "KiB", scale = 1 / 1024 }
  series = [
    { name = "activations", mark = "bars", rows = local.blocks, x = "block", y = "bytes" },
  ]
  lines = [{ name = "NPU memory", at = local.memory }]
}

stage "plot" "figure2" {
  title = "Figure 2. Accuracy against latency"
  x     = { title = "latency", unit = "ms", scale = 1000 }
  y     = { title = "top-1", unit = "%", scale = 100 }
  series = [
    { name = "networks as their authors published them", mark = "front", rows = local.paper, x = "latency", y = "top1", label = "network" },
    { name = "mean of the set", rows = [for k, s in stage.images : { x = 0.1, y = 0.55 + s.dataset.mean[0] / 10, name = k }], x = "x", y = "y", label = "name" },
  ]
}

stage "report" "page" {
  title  = "RaptorNet, a page to look at"
  text   = "A page for the browser test.\n\n- **one** thing\n- and `another`"
  recipe = "${path.recipe}/page.hcl"
  sections = [
    { title = "Tables", text = "Ours beside the paper's.", tables = [stage.table3.html, stage.sets.html] },
    { title = "Figures", figures = [stage.figure1.svg, stage.figure2.svg, stage.figure2.png] },
  ]
}
