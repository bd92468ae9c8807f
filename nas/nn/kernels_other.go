//go:build !amd64

package nn

func sets() []*kernels { return []*kernels{&plain} }
