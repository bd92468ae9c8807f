package process

import (
	"strconv"
	"strings"
)

// Visible returns the environment by which CUDA shows a process these GPUs and no
// others. Where this process itself is shown some, they are numbered among those.
func Visible(gpus []int, getenv func(string) string) []string {
	if len(gpus) == 0 {
		return nil
	}
	var names []string
	shown := strings.Split(getenv("CUDA_VISIBLE_DEVICES"), ",")
	for _, i := range gpus {
		if i < len(shown) && shown[0] != "" {
			names = append(names, strings.TrimSpace(shown[i]))
		} else {
			names = append(names, strconv.Itoa(i))
		}
	}
	return []string{"CUDA_VISIBLE_DEVICES=" + strings.Join(names, ",")}
}
