package rbac

import (
	"slices"
	"strings"
)

// target is the resources of which a rule speaks, its patterns read. It never changes.
type target struct {
	on    globs
	not   globs
	asked bool // a deny without exceptions also looks at the name that the client used: no alias gets round a block
}

func (t *target) match(resource, asked string) bool {
	hit := t.on.match(resource) || t.asked && asked != "" && t.on.match(asked)
	return hit && !t.not.match(resource)
}

// globs are patterns of resources, sorted by how they are tested.
type globs struct {
	any    bool
	names  []string            // without *, a few
	many   map[string]struct{} // without *, when they are more than a few
	starts []string            // one *, at the end
	others []ResourcePattern
}

// fewNames is up to how many names a walk is faster than a map.
const fewNames = 8

func newGlobs(patterns []ResourcePattern) (g globs) {
	for _, p := range patterns {
		switch star := strings.IndexByte(p.glob, '*'); {
		case strings.Trim(p.glob, "*") == "":
			g.any = true
		case star < 0:
			g.names = append(g.names, p.glob)
		case star == len(p.glob)-1:
			g.starts = append(g.starts, p.glob[:star])
		default:
			g.others = append(g.others, p)
		}
	}
	if len(g.names) > fewNames {
		g.many = make(map[string]struct{}, len(g.names))
		for _, n := range g.names {
			g.many[n] = struct{}{}
		}
		g.names = nil
	}
	return g
}

func (g *globs) match(resource string) bool {
	if g.any {
		return true
	}
	for _, s := range g.starts {
		if strings.HasPrefix(resource, s) {
			return true
		}
	}
	if g.many != nil {
		if _, ok := g.many[resource]; ok {
			return true
		}
	} else if slices.Contains(g.names, resource) {
		return true
	}
	for _, p := range g.others {
		if p.Match(resource) {
			return true
		}
	}
	return false
}
