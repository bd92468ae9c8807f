package pipeline

import (
	"reflect"

	"eyrie/artifacts"
)

// eachFile calls f for every artifacts.File within v, which must be settable.
// Maps and interfaces, whose elements are not, get changed copies.
func eachFile(v reflect.Value, f func(*artifacts.File) error) error {
	if v.Type() == fileType {
		return f(v.Addr().Interface().(*artifacts.File))
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return eachFile(v.Elem(), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if sf := v.Type().Field(i); sf.IsExported() || sf.Anonymous {
				if err := eachFile(v.Field(i), f); err != nil {
					return err
				}
			}
		}
	case reflect.Slice, reflect.Array:
		if scalar(v.Type().Elem()) {
			return nil
		}
		for i := range v.Len() {
			if err := eachFile(v.Index(i), f); err != nil {
				return err
			}
		}
	case reflect.Map:
		if scalar(v.Type().Elem()) {
			return nil
		}
		for _, k := range v.MapKeys() {
			e := reflect.New(v.Type().Elem()).Elem()
			e.Set(v.MapIndex(k))
			if err := eachFile(e, f); err != nil {
				return err
			}
			v.SetMapIndex(k, e)
		}
	case reflect.Interface:
		if !v.IsNil() {
			e := reflect.New(v.Elem().Type()).Elem()
			e.Set(v.Elem())
			if err := eachFile(e, f); err != nil {
				return err
			}
			v.Set(e)
		}
	}
	return nil
}

// scalar reports whether a t cannot contain a File, which spares a look at each number
// of a long list.
func scalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Struct, reflect.Slice, reflect.Array, reflect.Map, reflect.Interface:
		return false
	}
	return true
}

// settable returns an addressable copy of the struct in v, and the pointer to it.
func settable(v any) reflect.Value {
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	return p.Elem()
}
