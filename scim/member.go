package scim

import (
	"context"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/scim/filter"
	"github.com/orgkit/orgkit/scim/patch"
	"github.com/orgkit/orgkit/scim/schema"
)

// edit is a change of the members of a group.
type edit struct {
	verb patch.Verb
	ids  []string       // nil: of remove, all
	only *filter.Filter // of remove: those that match
}

// run makes the change and says how many memberships it has changed.
func (e edit) run(ctx context.Context, p *orgs.Provisioner, g orgs.ProvisionedGroup) (int, error) {
	switch {
	case e.verb == patch.Add:
		return p.AddMembers(ctx, g, e.ids)
	case e.verb == patch.Replace:
		return p.SetMembers(ctx, g, e.ids)
	case e.only == nil:
		return p.RemoveMembers(ctx, g, e.ids)
	}
	all := p.Members(ctx, g)
	if probes, ok := e.only.Probes("value"); ok { // who it can be at most
		var some []string
		for _, probe := range probes {
			some = append(some, probe.Key)
		}
		all = p.MembersWith(ctx, g, some)
	}
	list, err := memberList(ctx, p, all, "", maxMembers)
	if err != nil {
		return 0, err
	}
	ids := []string{}
	for _, v := range list {
		if o := v.(schema.Object); e.only.Match(o) {
			ids = append(ids, o.Text("value"))
		}
	}
	return p.RemoveMembers(ctx, g, ids)
}

// memberEdits takes what is about members out of the operations of a patch: memberships are records of their own, of which
// no one else's is read or written.
func memberEdits(ops []patch.Operation, strict bool) (rest []patch.Operation, edits []edit, err error) {
	for _, op := range ops {
		if op.Path == "" {
			members, ok := op.Value.(map[string]any)
			if !ok || strict {
				rest = append(rest, op)
				continue
			}
			without := map[string]any{}
			for name, v := range members {
				if r, known := schema.Groups.Lookup(name); !known || r.Attribute != membersAttribute || r.Sub != nil {
					without[name] = v
					continue
				}
				e, err := memberEdit(patch.Operation{Verb: op.Verb, Value: v, Given: true})
				if err != nil {
					return nil, nil, err
				}
				edits = append(edits, e)
			}
			op.Value = without
			rest = append(rest, op)
			continue
		}
		path, err := filter.ParsePath(op.Path)
		if err != nil {
			return nil, nil, schema.Errorf(schema.InvalidPath, "path: %v", err)
		}
		r, ok := schema.Groups.Find(path.Path.URN, path.Path.Attr, path.Path.Sub)
		if !ok || r.Attribute != membersAttribute {
			rest = append(rest, op)
			continue
		}
		e, err := pathEdit(op, r, path)
		if err != nil {
			return nil, nil, err
		}
		edits = append(edits, e)
	}
	return rest, edits, nil
}

var membersAttribute = schema.Groups.Core.Find("members")

// memberEdit is what an operation on the whole list does.
func memberEdit(op patch.Operation) (edit, error) {
	read, err := membersAttribute.ReadValue(op.Value, "members")
	if err != nil {
		return edit{}, err
	}
	list, _ := read.([]any)
	ids, err := memberIDs(list)
	return edit{verb: op.Verb, ids: ids}, err
}

// pathEdit is what an operation with a path does. Removal with a value takes only those that it names, and with an empty
// list nobody.
func pathEdit(op patch.Operation, r schema.Ref, path filter.Target) (edit, error) {
	switch {
	case path.Inner == nil && r.Sub == nil && op.Value == nil && op.Verb == patch.Add:
		return edit{verb: patch.Add}, nil
	case path.Inner == nil && r.Sub == nil && op.Value == nil: // all of them
		return edit{verb: patch.Remove}, nil
	case path.Inner == nil && r.Sub == nil:
		return memberEdit(op)
	case path.Inner == nil && r.Sub.Name == "value" && op.Verb == patch.Add:
		return memberEdit(op)
	case path.Inner == nil || path.Sub != "":
		return edit{}, schema.Errorf(schema.NotMutable, "path: the parts of a member cannot be changed")
	}
	only, err := filter.BindElement(path.Inner, membersAttribute)
	if err != nil {
		return edit{}, schema.Errorf(schema.InvalidPath, "path: %v", err)
	}
	if op.Verb == patch.Remove {
		return edit{verb: patch.Remove, only: only}, nil
	}
	if c, ok := path.Inner.(*filter.Compare); ok && op.Verb == patch.Add && c.Op == filter.Eq && strings.EqualFold(c.Path.Attr, "value") {
		if id, ok := c.Value.(string); ok { // the member that it would find
			return edit{verb: patch.Add, ids: []string{id}}, nil
		}
	}
	return edit{}, schema.Errorf(schema.NotMutable, "path: a member cannot be changed, only added or removed")
}

// lastPart is the last part of a URL.
func lastPart(url string) string {
	parts := strings.Split(url, "/")
	return parts[len(parts)-1]
}
