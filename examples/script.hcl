# A script of your own between two stages: it compares the latencies that two models of an NPU
# give for a family of networks. A table shows what goes in and what comes out of it, with
# where each number came from.
#
#   go run ./cmd/runner run examples/script.hcl

locals {
  widths = { "0.35" = 0.35, "0.5" = 0.5, "0.75" = 0.75, "1" = 1 }
  boards = { tiny = { preset = "tinyraptor" }, large = { preset = "tinyraptor", memory = "256KiB", name = "TinyRAPTOR, 256 KiB" } }
}

stage "deploy-estimate" "tiny" {
  for_each = local.widths
  platform = local.boards.tiny
  network  = { width = each.value, resolution = 160 }
}

stage "deploy-estimate" "large" {
  for_each = local.widths
  platform = local.boards.large
  network  = { width = each.value, resolution = 160 }
}

stage "table" "before" {
  title   = "Latencies on two NPUs"
  rows    = [for width, s in stage.tiny : { width = tonumber(width), tiny = s.estimate.latency, large = stage.large[width].estimate.latency }]
  columns = [{ key = "width" }, { key = "tiny" }, { key = "large" }]
}

# The script finds its inputs by these names in its directory, and writes result.json there. The
# version of Python is part of what the result is cached for.
stage "exec" "compare" {
  command = ["python3", "compare.py", "latencies.csv"]
  inputs = {
    "compare.py"    = "${path.recipe}/compare.py"
    "latencies.csv" = stage.before.csv
  }
  tools = { python = "python3 --version" }

  declare {
    output "speedup" {
      type       = number
      json       = "result.json"
      provenance = "modelled"
      doc        = "how many times faster the larger memory makes a network, in the geometric mean"
    }
    output "slowest" {
      type       = object({ width = number, saved = number })
      json       = "result.json"
      provenance = "modelled"
    }
    output "elapsed" {
      type = number
      json = "result.json"
      at   = "elapsed_ms"
      unit = "ms"
      doc  = "how long the script took"
    }
    output "lines" {
      type = file
      path = "out/lines.txt"
    }
  }
}

# Steps may be pipelines of a shell, if they are written as such.
stage "exec" "count" {
  shell  = "grep -c faster lines.txt | sed 's/.*/{ \"faster\": & }/' >count.json"
  inputs = { "lines.txt" = stage.compare.lines }

  declare {
    output "faster" {
      type       = number
      json       = "count.json"
      provenance = "modelled"
    }
  }
}

stage "table" "after" {
  title = "What the larger memory brings"
  rows = [
    { what = "speed-up, geometric mean", value = stage.compare.speedup },
    { what = "saved by the slowest network (s)", value = stage.compare.slowest.saved },
    { what = "networks that are faster", value = stage.count.faster },
    { what = "time of the script (s)", value = stage.compare.elapsed },
  ]
  columns = [{ key = "what", title = "" }, { key = "value" }]
}

output "before" {
  description = "What goes into the script."
  value       = stage.before.text
}

output "after" {
  description = "What comes out of it."
  value       = stage.after.text
}
