package store

import (
	"maps"
	"reflect"
	"slices"
	"sync"
)

// Clone returns a deep copy of a record: nothing that can be changed through the one is seen
// through the other. Structs with unexported fields (times, decimals, addresses) are values that
// nobody can change and are copied as they are.
func (k *Kind) Clone(rec any) any {
	c := reflect.New(k.typ)
	k.cloneInto(c.Elem(), rec)
	return c.Interface()
}

// CloneInto is Clone into the record that dst points to.
func (k *Kind) CloneInto(dst, rec any) {
	k.cloneInto(reflect.ValueOf(dst).Elem(), rec)
}

func (k *Kind) cloneInto(v reflect.Value, rec any) {
	v.Set(reflect.ValueOf(rec).Elem())
	for _, path := range k.shared {
		deepen(v.FieldByIndex(path))
	}
}

// sharedBy are the fields, those of structs inside of the struct too, that a shallow copy shares with its
// original.
func sharedBy(t reflect.Type, at []int) (paths [][]int) {
	for _, i := range sharing(t) {
		path := append(slices.Clone(at), i)
		if f := t.Field(i); f.Type.Kind() == reflect.Struct {
			paths = append(paths, sharedBy(f.Type, path)...)
		} else {
			paths = append(paths, path)
		}
	}
	return paths
}

// deepen replaces what v, a shallow copy, shares with its original by copies.
func deepen(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for _, i := range sharing(v.Type()) {
			deepen(v.Field(i))
		}
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(v.Elem())
		deepen(p.Elem())
		v.Set(p)
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		c := reflect.New(v.Elem().Type()).Elem()
		c.Set(v.Elem())
		deepen(c)
		v.Set(c)
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		if p, ok := v.Addr().Interface().(*[]string); ok {
			*p = slices.Clone(*p)
			return
		}
		s := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(s, v)
		v.Set(s)
		if shares(v.Type().Elem()) {
			for i := range v.Len() {
				deepen(v.Index(i))
			}
		}
	case reflect.Map:
		if v.IsNil() {
			return
		}
		switch p := v.Addr().Interface().(type) {
		case *map[string]string:
			*p = maps.Clone(*p)
			return
		case *map[string]bool:
			*p = maps.Clone(*p)
			return
		}
		m := reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			e := reflect.New(v.Type().Elem()).Elem()
			e.Set(it.Value())
			deepen(e)
			m.SetMapIndex(it.Key(), e)
		}
		v.Set(m)
	}
}

var sharingFields sync.Map // reflect.Type -> []int

// sharing are the fields of a struct type that a shallow copy shares with its original.
func sharing(t reflect.Type) []int {
	if f, ok := sharingFields.Load(t); ok {
		return f.([]int)
	}
	var fields []int
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && shares(f.Type) {
			fields = append(fields, i)
		}
	}
	sharingFields.Store(t, fields)
	return fields
}

func shares(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map:
		return true
	case reflect.Struct:
		return len(sharing(t)) > 0
	}
	return false
}
