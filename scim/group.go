package scim

import (
	"context"
	"errors"
	"iter"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/scim/patch"
	"github.com/orgkit/orgkit/scim/schema"
)

func groupOf(g orgs.ProvisionedGroup) record { return groupRecord{g} }

// maxMembers is the most members of a group that are set at once, or shown in one answer. Tests have a lower one.
var maxMembers = 100_000

var groups = kind{typ: &schema.Groups, limit: 16 << 20, linked: "members",
	indexed: []string{"id", "displayName", "externalId", "members.value"},
	column:  map[string]string{"id": "id", "displayName": "name_key", "externalId": "external_id", "members.value": "member"},
	get: func(ctx context.Context, p *orgs.Provisioner, id string) (record, error) {
		g, err := p.Group(ctx, id)
		return groupRecord{g}, err
	},
	with: func(ctx context.Context, p *orgs.Provisioner, column string, values []string) ([]record, error) {
		list, err := p.GroupsWith(ctx, column, values)
		return recordList(list, err, groupOf)
	},
	all: func(ctx context.Context, p *orgs.Provisioner, after string, atOnce int) iter.Seq2[record, error] {
		return records(p.Groups(ctx, after, atOnce), groupOf)
	},
	count:   func(ctx context.Context, p *orgs.Provisioner) (int, error) { return p.CountGroups(ctx) },
	objects: groupObjects, some: groupWith, create: createGroup, replace: replaceGroup, patch: patchGroup,
	remove: func(ctx context.Context, p *orgs.Provisioner, old record) (audit.Change, error) {
		return p.DeleteGroup(ctx, old.(groupRecord).ProvisionedGroup)
	},
}

// groupObjects ends earlier where the members of all are more than one answer shows: a page of a list is shorter then.
func groupObjects(ctx context.Context, p *orgs.Provisioner, base string, of []record, linked bool) ([]schema.Object, error) {
	all := make([]schema.Object, len(of))
	left := maxMembers
	for i, r := range of {
		g := r.(groupRecord).ProvisionedGroup
		o := schema.Object{"displayName": g.Name}
		finish(&schema.Groups, o, g.Meta, g.ExternalID, base)
		all[i] = o
		if !linked {
			continue
		}
		members, err := memberList(ctx, p, p.Members(ctx, g), base, left)
		var tooMany *schema.Error
		if i > 0 && errors.As(err, &tooMany) && tooMany.Type == schema.TooMany {
			return all[:i], nil
		} else if err != nil {
			return nil, err
		}
		if left -= len(members); len(members) > 0 {
			o["members"] = members
		}
	}
	return all, nil
}

// groupWith is a group with those of its members who have one of the ids.
func groupWith(ctx context.Context, p *orgs.Provisioner, base string, of record, ids []string) (schema.Object, error) {
	g := of.(groupRecord).ProvisionedGroup
	all, err := groupObjects(ctx, p, base, []record{of}, false)
	if err != nil {
		return nil, err
	}
	members, err := memberList(ctx, p, p.MembersWith(ctx, g, ids), base, maxMembers)
	if len(members) > 0 {
		all[0]["members"] = members
	}
	return all[0], err
}

// memberList are members of a group as they are shown, at most so many.
func memberList(ctx context.Context, p *orgs.Provisioner, members iter.Seq2[orgs.ProvisionedMember, error], base string, most int) (list []any, err error) {
	names := map[string]string{}
	var some []orgs.ProvisionedMember
	flush := func() error {
		var userIDs, groupIDs []string
		for _, m := range some {
			if m.IsGroup {
				groupIDs = append(groupIDs, m.MemberID)
			} else {
				userIDs = append(userIDs, m.MemberID)
			}
		}
		us, err := p.UsersWith(ctx, "id", userIDs)
		if err != nil {
			return err
		}
		for _, u := range us {
			names[u.ID] = u.UserName
		}
		gs, err := p.GroupsWith(ctx, "id", groupIDs)
		if err != nil {
			return err
		}
		for _, g := range gs {
			names[g.ID] = g.Name
		}
		for _, m := range some {
			of, typ := &schema.Users, "User"
			if m.IsGroup {
				of, typ = &schema.Groups, "Group"
			}
			list = append(list, schema.Object{"value": m.MemberID, "$ref": base + of.Endpoint + "/" + m.MemberID, "type": typ, "display": names[m.MemberID]})
		}
		some = some[:0]
		clear(names)
		return nil
	}
	for m, err := range members {
		if err != nil {
			return nil, err
		}
		if len(list)+len(some) >= most {
			return nil, schema.Errorf(schema.TooMany, "more than %d members are not shown at once: leave them out by excludedAttributes=members, or ask for members[value eq \"...\"]", maxMembers)
		}
		if some = append(some, m); len(some) == 500 {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return list, flush()
}

// takeGroup takes a resource over into a record, but its members.
func takeGroup(g *orgs.ProvisionedGroup, o schema.Object) {
	g.Name, g.ExternalID = o.Text("displayName"), externalID(o)
	g.NameKey = schema.Fold(g.Name)
}

func createGroup(ctx context.Context, q *request, p *orgs.Provisioner, o schema.Object, body map[string]any) (record, audit.Change, error) {
	var g orgs.ProvisionedGroup
	takeGroup(&g, o)
	g, c, err := p.CreateGroup(ctx, g)
	if err != nil {
		return nil, c, err
	}
	members, err := memberIDs(o.List("members"))
	if err != nil {
		return nil, c, err
	}
	n, err := p.AddMembers(ctx, g, members)
	if n > 0 {
		c.Data = map[string]int{"members_added": n}
	}
	return groupRecord{g}, c, err
}

// memberIDs are the ids of members. One that is named by where it is alone has the id at the end of that.
func memberIDs(list []any) ([]string, error) {
	if len(list) > maxMembers {
		return nil, schema.Errorf(schema.TooMany, "a request names at most %d members", maxMembers)
	}
	ids := make([]string, 0, len(list))
	for i, v := range list {
		o, _ := v.(schema.Object)
		id := o.Text("value")
		if id == "" {
			id = lastPart(o.Text("$ref"))
		}
		if id == "" {
			return nil, schema.Errorf(schema.InvalidValue, "members[%d].value is required", i)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func replaceGroup(ctx context.Context, q *request, p *orgs.Provisioner, old record, o schema.Object) (record, audit.Change, error) {
	members, err := memberIDs(o.List("members"))
	if err != nil {
		return nil, audit.Change{}, err
	}
	before := old.(groupRecord).ProvisionedGroup
	return saveGroup(ctx, p, before, o, []edit{{verb: patch.Replace, ids: members}})
}

// patchGroup changes a group without reading its members, but those that the operations are about.
func patchGroup(ctx context.Context, q *request, p *orgs.Provisioner, old record, body map[string]any) (record, audit.Change, error) {
	before := old.(groupRecord).ProvisionedGroup
	ops, err := patch.Parse(body)
	if err != nil {
		return nil, audit.Change{}, err
	}
	rest, edits, err := memberEdits(ops, q.opt.Strict)
	if err != nil {
		return nil, audit.Change{}, err
	}
	was := schema.Object{"displayName": before.Name}
	finish(&schema.Groups, was, before.Meta, before.ExternalID, "")
	o, err := patch.Apply(&schema.Groups, was, rest, patch.Options{Strict: q.opt.Strict})
	if err != nil {
		return nil, audit.Change{}, err
	}
	return saveGroup(ctx, p, before, o, edits)
}

// saveGroup keeps what a group is now, and changes its members.
func saveGroup(ctx context.Context, p *orgs.Provisioner, before orgs.ProvisionedGroup, o schema.Object, edits []edit) (record, audit.Change, error) {
	g := before
	takeGroup(&g, o)
	changed := 0
	for _, e := range edits {
		n, err := e.run(ctx, p, g)
		if err != nil {
			return nil, audit.Change{}, err
		}
		changed += n
	}
	same := g.Name == before.Name && (g.ExternalID == nil) == (before.ExternalID == nil) && (g.ExternalID == nil || *g.ExternalID == *before.ExternalID)
	if same && changed == 0 {
		return groupRecord{before}, audit.Change{}, orgs.ErrUnchanged
	}
	g, c, err := p.UpdateGroup(ctx, before, g)
	if changed > 0 {
		c.Data = map[string]int{"members_changed": changed}
	}
	return groupRecord{g}, c, err
}
