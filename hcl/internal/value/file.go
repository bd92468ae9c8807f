package value

import (
	"reflect"

	"github.com/zclconf/go-cty/cty"

	"eyrie/artifacts"
)

// FileType is the type of outputs that are files: opaque handles, which an
// expression can hand on but not look into. Two are equal when their contents are.
var FileType = cty.CapsuleWithOps("file", reflect.TypeFor[artifacts.File](), &cty.CapsuleOps{
	GoString:     func(v any) string { return "file " + v.(*artifacts.File).Digest.String() },
	TypeGoString: func(reflect.Type) string { return "file" },
	RawEquals: func(a, b any) bool {
		x, y := a.(*artifacts.File), b.(*artifacts.File)
		return x.Digest == y.Digest && (!x.Digest.IsZero() || x.Path == y.Path)
	},
	HashKey: func(v any) string { return v.(*artifacts.File).Digest.String() },
})

func fileVal(f artifacts.File) cty.Value { return cty.CapsuleVal(FileType, &f) }
