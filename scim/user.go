package scim

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"iter"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/scim/patch"
	"github.com/orgkit/orgkit/scim/schema"
)

func userOf(u orgs.ProvisionedUser) record { return userRecord{u} }

var users = kind{typ: &schema.Users, limit: 1 << 20, linked: "groups",
	indexed: []string{"id", "userName", "externalId", "emails.value", "groups.value"},
	column:  map[string]string{"id": "id", "userName": "user_name_key", "externalId": "external_id", "emails.value": "email", "groups.value": "group"},
	get: func(ctx context.Context, p *orgs.Provisioner, id string) (record, error) {
		u, err := p.User(ctx, id)
		return userRecord{u}, err
	},
	with: func(ctx context.Context, p *orgs.Provisioner, column string, values []string) ([]record, error) {
		list, err := p.UsersWith(ctx, column, values)
		return recordList(list, err, userOf)
	},
	all: func(ctx context.Context, p *orgs.Provisioner, after string, atOnce int) iter.Seq2[record, error] {
		return records(p.Users(ctx, after, atOnce), userOf)
	},
	count:   func(ctx context.Context, p *orgs.Provisioner) (int, error) { return p.CountUsers(ctx) },
	objects: userObjects, create: createUser, replace: replaceUser, patch: patchUser,
	remove: func(ctx context.Context, p *orgs.Provisioner, old record) (audit.Change, error) {
		return p.DeleteUser(ctx, old.(userRecord).ProvisionedUser)
	},
}

func userObjects(ctx context.Context, p *orgs.Provisioner, base string, of []record, linked bool) ([]schema.Object, error) {
	var in map[string][]orgs.InGroup
	if linked {
		ids := make([]string, len(of))
		for i, r := range of {
			ids[i] = r.meta().ID
		}
		var err error
		if in, err = p.GroupsOf(ctx, ids...); err != nil {
			return nil, err
		}
	}
	all := make([]schema.Object, len(of))
	for i, r := range of {
		o, err := userObject(r.(userRecord).ProvisionedUser, base)
		if err != nil {
			return nil, err
		}
		if own := in[r.meta().ID]; len(own) > 0 {
			inGroups(o, own, base)
		}
		all[i] = o
	}
	return all, nil
}

func userObject(u orgs.ProvisionedUser, base string) (schema.Object, error) {
	o := schema.Object{}
	if err := json.Unmarshal(u.Attributes, &o); err != nil {
		return nil, fmt.Errorf("attributes of %s: %w", u.ID, err)
	}
	o["userName"], o["active"] = u.UserName, u.Active
	finish(&schema.Users, o, u.Meta, u.ExternalID, base)
	return o, nil
}

// inGroups shows in which groups a user is. They are a part of the version that is shown, since they change without the user.
func inGroups(o schema.Object, in []orgs.InGroup, base string) {
	sum := fnv.New32a()
	list := make([]any, len(in))
	for i, g := range in {
		how := "indirect"
		if g.Direct {
			how = "direct"
		}
		list[i] = schema.Object{"value": g.ID, "$ref": base + schema.Groups.Endpoint + "/" + g.ID, "display": g.Name, "type": how}
		fmt.Fprintf(sum, "%s %q %s ", g.ID, g.Name, how)
	}
	o["groups"] = list
	meta := o.Part("meta")
	meta["version"] = fmt.Sprintf(`%s-%x"`, strings.TrimSuffix(meta.Text("version"), `"`), sum.Sum32())
}

// takeUser takes a resource over into a record.
func takeUser(u *orgs.ProvisionedUser, o schema.Object) (orgs.Person, error) {
	u.UserName, u.ExternalID = o.Text("userName"), externalID(o)
	u.UserNameKey = schema.Fold(u.UserName)
	if active, ok := o["active"].(bool); ok {
		u.Active = active
	}
	rest := o.Clone()
	for _, name := range []string{"id", "meta", "schemas", "groups", "userName", "externalId", "active"} {
		delete(rest, name)
	}
	raw, err := json.Marshal(rest)
	u.Attributes = raw
	return person(o), err
}

// person is what a user is as an account: the primary address or the first, else the user name, and the name that is shown.
func person(o schema.Object) orgs.Person {
	p := orgs.Person{Email: o.Text("userName"), Name: o.Text("displayName")}
	var first, primary string
	for _, v := range o.List("emails") {
		e, _ := v.(schema.Object)
		address, ok := e["value"].(string)
		if !ok {
			continue
		}
		p.EmailKeys = append(p.EmailKeys, schema.Fold(address)) // also an empty one: filters can ask for it
		if address == "" {
			continue
		}
		if first == "" {
			first = address
		}
		if e["primary"] == true {
			primary = address
		}
	}
	if primary != "" {
		p.Email = primary
	} else if first != "" {
		p.Email = first
	}
	name := o.Part("name")
	if p.Name == "" {
		p.Name = name.Text("formatted")
	}
	if p.Name == "" {
		p.Name = strings.TrimSpace(name.Text("givenName") + " " + name.Text("familyName"))
	}
	return p
}

func createUser(ctx context.Context, q *request, p *orgs.Provisioner, o schema.Object, body map[string]any) (record, audit.Change, error) {
	u := orgs.ProvisionedUser{Active: true}
	who, err := takeUser(&u, o)
	if err != nil {
		return nil, audit.Change{}, err
	}
	u, c, err := p.CreateUser(ctx, u, who)
	if err != nil || !q.opt.GroupsOnCreate {
		return userRecord{u}, c, err
	}
	return userRecord{u}, c, joinNamed(ctx, p, u, body)
}

// joinNamed puts a new user into the groups that the request names by id or name. Others do not matter.
func joinNamed(ctx context.Context, p *orgs.Provisioner, u orgs.ProvisionedUser, body map[string]any) error {
	named, _ := schema.Named(body, "groups")
	list, _ := named.([]any)
	for _, v := range list[:min(len(list), 100)] {
		if part, ok := v.(map[string]any); ok {
			v, _ = schema.Named(part, "value")
		}
		name, _ := v.(string)
		found, err := p.GroupsWith(ctx, "id", []string{name})
		if err == nil && len(found) == 0 {
			found, err = p.GroupsWith(ctx, "name_key", []string{schema.Fold(name)})
		}
		if err != nil {
			return err
		}
		for _, g := range found {
			if _, err := p.AddMembers(ctx, g, []string{u.ID}); err != nil {
				return err
			}
			if _, _, err := p.UpdateGroup(ctx, g, g); err != nil {
				return err
			}
		}
	}
	return nil
}

func replaceUser(ctx context.Context, q *request, p *orgs.Provisioner, old record, o schema.Object) (record, audit.Change, error) {
	before := old.(userRecord).ProvisionedUser
	was, err := userObject(before, "")
	if err != nil {
		return nil, audit.Change{}, err
	}
	return saveUser(ctx, p, before, was, o)
}

func patchUser(ctx context.Context, q *request, p *orgs.Provisioner, old record, body map[string]any) (record, audit.Change, error) {
	before := old.(userRecord).ProvisionedUser
	ops, err := patch.Parse(body)
	if err != nil {
		return nil, audit.Change{}, err
	}
	was, err := userObject(before, "")
	if err != nil {
		return nil, audit.Change{}, err
	}
	o, err := patch.Apply(&schema.Users, was, ops, patch.Options{Strict: q.opt.Strict})
	if err != nil {
		return nil, audit.Change{}, err
	}
	return saveUser(ctx, p, before, was, o)
}

// saveUser keeps what a user is now. One who is not said to be active or not stays what they are, and one who is what they
// were is not changed.
func saveUser(ctx context.Context, p *orgs.Provisioner, before orgs.ProvisionedUser, was, o schema.Object) (record, audit.Change, error) {
	u := before
	who, err := takeUser(&u, o)
	if err != nil {
		return nil, audit.Change{}, err
	}
	for _, name := range []string{"id", "meta", "schemas"} {
		o[name] = was[name]
	}
	if o["active"] = u.Active; schema.Same(was, o) {
		return userRecord{before}, audit.Change{}, orgs.ErrUnchanged
	}
	u, c, err := p.UpdateUser(ctx, before, u, who)
	return userRecord{u}, c, err
}
