# The board in the loop: networks are written as ONNX, each is measured on this machine with onnxruntime, a platform is
# calibrated to most of them, and it predicts the others. Real latencies, of real hardware.
#
#     runner run examples/board.hcl --resource board=1 --var python=PATH/TO/python
#
# where python has numpy and onnxruntime. A board of your own is another program in place of board/measure.py: one that
# sends the network there and waits for the answer.

variable "python" {
  description = "A Python that has numpy and onnxruntime."
  type        = string
  default     = "python3"
}

variable "seconds" {
  description = "How long to measure each network."
  type        = number
  default     = 2
}

variable "clock" {
  description = "The processor's clock. It sets the unit of what is fitted, and no prediction."
  type        = string
  default     = "4GHz"
}

variable "pes" {
  description = "MAC per cycle at most: of float32, two multiply-adds of 16 lanes with AVX-512, 16 in all with AVX2, 8 with NEON."
  type        = number
  default     = 32
}

variable "memory" {
  description = "The memory that is near: the second-level cache."
  type        = string
  default     = "1MiB"
}

locals {
  mobile = { for p in setproduct([0.35, 0.5, 0.75, 1.0], [96, 128, 160, 192, 224]) :
    "MobileNetV2 ${p[0]} at ${p[1]}" => { width = p[0], resolution = p[1], scaling = "published" }
  }
  others   = { for name, n in jsondecode(file("vela/networks.json")) : name => merge(n, { input = { c = n.input[0], h = n.input[1], w = n.input[2] } }) }
  networks = merge(local.mobile, local.others)

  # Held out: MobileNetV2 between those that are fitted to, and networks of families of which none is.
  heldout = ["MobileNetV2 0.35 at 160", "MobileNetV2 0.5 at 96", "MobileNetV2 0.75 at 224", "MobileNetV2 1 at 128"]
  foreign = ["mnas_like_160", "mcunet_like_144", "lenet", "resnet18_96", "vgg_small"]
}

# The probes: weights say nothing of time, so that none are trained.
stage "deploy-estimate" "probe" {
  for_each = local.networks
  network  = each.value
  platform = { preset = "tinyraptor" } # its estimates are not looked at
  weights  = "random"
}

# One at a time, as board = 1 is all there is: what runs beside it would be measured, too.
stage "exec" "measure" {
  for_each = local.networks
  command  = [var.python, "measure.py", tostring(var.seconds)]
  inputs   = { "measure.py" = "board/measure.py", "model.onnx" = stage.probe[each.key].onnx }
  tools    = { onnxruntime = "${var.python} -c 'import onnxruntime; print(onnxruntime.__version__)'" }
  resources { board = 1 }

  declare {
    output "latency" {
      type = number
      json = "result.json"
      unit = "s"
    }
    output "least" {
      type = number
      json = "result.json"
      unit = "s"
    }
    output "spread" {
      type = number
      json = "result.json"
    }
    output "runs" {
      type = number
      json = "result.json"
    }
  }
}

stage "table" "measurements" {
  title = "What was measured"
  rows = [for name, m in stage.measure : {
    network = name
    role    = contains(local.heldout, name) ? "held out" : contains(local.foreign, name) ? "foreign" : "train"
    latency = m.latency
    least   = m.least
    spread  = m.spread
    runs    = m.runs
  }]
  columns = [
    { key = "network" },
    { key = "role" },
    { key = "latency", unit = "s" },
    { key = "least", unit = "s" },
    { key = "spread" },
    { key = "runs" },
  ]
  provenance = "legend"
}

stage "calibrate" "board" {
  platform     = { name = "this machine, one thread", clock = var.clock, pes = var.pes, memory = var.memory }
  measurements = stage.measurements.csv
  columns      = { latency = "latency (s)" }
  source       = "onnxruntime on this machine"
  networks     = local.networks
}

stage "table" "errors" {
  title   = "Networks that were not fitted to"
  caption = "Errors are of the logarithm of the latency. Cover is the share of networks whose latency lies in the interval predicted for it."
  rows    = [for role in ["held out", "foreign"] : merge({ role = role }, stage.board.roles[role])]
  columns = [
    { key = "role" },
    { key = "rows", title = "networks" },
    { key = "latency_rms", title = "error, rms (%)", scale = 100, format = "%.1f" },
    { key = "latency_worst", title = "worst (%)", scale = 100, format = "%.0f" },
    { key = "coverage", title = "cover (%)", scale = 100, format = "%.0f" },
  ]
  provenance = "legend"
}

stage "table" "predictions" {
  title = "Measured and predicted"
  rows  = [for r in stage.board.rows : merge(r, { spread = stage.measure[r.network].spread }) if !r.fitted]
  columns = [
    { key = "network" },
    { key = "macs", title = "MACs (M)", scale = 1e-6, format = "%.1f" },
    { key = "latency_measured", title = "measured", group = "latency (ms)", scale = 1000, format = "%.3f" },
    { key = "spread", title = "spread (%)", scale = 100, format = "%.0f" },
    { key = "latency", title = "predicted", group = "latency (ms)", scale = 1000, format = "%.3f", interval = "latency_interval" },
    { key = "latency_error", title = "error (%)", scale = 100, format = "%+.0f" },
  ]
  provenance = "legend"
}

output "errors" { value = stage.errors.text }
output "predictions" { value = stage.predictions.text }
output "summary" { value = stage.board.summary }
output "measurements" { value = stage.measurements.csv }
output "heldout_rms" { value = stage.board.roles["held out"].latency_rms }
output "foreign_rms" { value = stage.board.roles["foreign"].latency_rms }
output "spread" { value = max([for m in stage.measure : m.spread]...) }
