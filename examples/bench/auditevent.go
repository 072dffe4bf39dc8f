package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/orgkit/orgkit/audit"
)

// eventType is a type of event with how often it comes and what it tells.
type eventType struct {
	name    string
	weight  int
	noun    string // of its resource
	tells   string // created, updated, deleted: the fields of a record; "" nothing
	outcome audit.Outcome
}

// eventTypes are as an installation with sign-in, keys and teams has them: many of people who come and go, some
// of changes.
var eventTypes = []eventType{
	{"session.created", 14, "user", "", ""}, {"session.ended", 6, "user", "", ""}, {"session.failed", 3, "user", "", audit.Failure},
	{"authorization.denied", 10, "team", "", audit.Denied}, {"data_access.read", 8, "project", "", ""},
	{"audit.read", 4, "organization", "", ""}, {"report.created", 2, "report", "", ""},
	{"member.added", 4, "user", "created", ""}, {"member.updated", 4, "user", "updated", ""}, {"member.removed", 2, "user", "deleted", ""},
	{"team.created", 2, "team", "created", ""}, {"team.updated", 4, "team", "updated", ""}, {"team.deleted", 1, "team", "deleted", ""},
	{"api_key.created", 6, "api_key", "created", ""}, {"api_key.updated", 5, "api_key", "updated", ""},
	{"api_key.rotated", 3, "api_key", "", ""}, {"api_key.revoked", 2, "api_key", "updated", ""},
	{"project.created", 2, "project", "created", ""}, {"project.updated", 2, "project", "updated", ""},
	{"role.updated", 2, "role", "updated", ""}, {"policy.updated", 2, "policy", "updated", ""}, {"organization.updated", 2, "organization", "updated", ""},
	{"budget.updated", 4, "budget", "updated", ""}, {"invitation.created", 3, "invitation", "created", ""},
	{"invitation.accepted", 3, "invitation", "", ""}, {"security.mfa_enabled", 1, "user", "", ""}, {"token.created", 1, "token", "created", ""},
}

// typeOf has each type as often as it weighs.
var typeOf = func() (list []*eventType) {
	for i := range eventTypes {
		for range eventTypes[i].weight {
			list = append(list, &eventTypes[i])
		}
	}
	return list
}()

const (
	auditActors = 200 // the lower their number, the more they do
	rareActor   = auditActors
	rareEvery   = 20_011 // events
)

var auditAgents = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:132.0) Gecko/20100101 Firefox/132.0",
	"python-requests/2.32.3", "OpenAI/Python 1.57.0", "curl/8.11.0", "Terraform/1.9.8",
}

// among is a number below n that belongs to event i, another for each use.
func among(i, use, n int) int { return int(mix(uint64(i)*64+uint64(use)) % uint64(n)) }

// idOf is the id of the how manieth of its kind, as a store makes them: part time, part random.
func idOf(prefix string, n int) string {
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	id := []byte(prefix + "_01j")
	for _, r := range []uint64{mix(uint64(n)), mix(uint64(n) ^ 1<<40)} {
		for range 12 {
			if len(id) < len(prefix)+27 {
				id = append(id, alphabet[r&31])
			}
			r >>= 5
		}
	}
	return string(id)
}

func actorEmail(n int) string {
	return fmt.Sprintf("%s.%s%d@example.com", firstNames[n%len(firstNames)], lastNames[n/len(firstNames)%len(lastNames)], n)
}

var (
	firstNames = strings.Fields("anna ben carla dmitri elena farid grace hiro ines jonas")
	lastNames  = strings.Fields("abel becker costa dubois eriksen fischer garcia huber ivanova jansen")
)

// actorOf is who causes event i: mostly people, sometimes their keys.
func actorOf(i int) audit.Actor {
	skew := among(i, 1, 1000)
	n := skew * skew / 1000 * skew / 1000 * auditActors / 1000
	if i%rareEvery == 0 {
		n = rareActor
	}
	a := audit.Actor{Type: audit.User, ID: idOf("usr", n), Label: actorEmail(n), IP: netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}),
		UserAgent: auditAgents[n%2]}
	if among(i, 2, 100) < 15 && n != rareActor {
		a = audit.Actor{Type: audit.APIKey, ID: idOf("key", n), Label: fmt.Sprintf("deploy key %d", n), OnBehalfOf: a.ID,
			IP: netip.AddrFrom4([4]byte{198, 51, 100, byte(among(i, 3, 250))}), UserAgent: auditAgents[2+n%4]}
	}
	if among(i, 4, 100) < 90 {
		a.RequestID = fmt.Sprintf("req_%016x%016x", mix(uint64(i)^1<<50), mix(uint64(i)^1<<51))
	}
	return a
}

func resourceOf(i int, noun string) audit.Resource {
	switch noun {
	case "user":
		return audit.Resource{Type: noun, ID: idOf("usr", among(i, 5, auditActors))}
	case "organization":
		return audit.Resource{Type: noun, ID: idOf("org", 0)}
	case "team", "project", "role", "policy", "budget":
		n := among(i, 5, 40)
		return audit.Resource{Type: noun, ID: idOf(noun, n), Slug: fmt.Sprintf("%s-%02d", noun, n)}
	}
	return audit.Resource{Type: noun, ID: idOf(noun, among(i, 5, 2000))}
}

// newAuditEvent is event i of a log: who, by which permission, and what.
func newAuditEvent(i int) (audit.Actor, string, audit.Change) {
	t := typeOf[among(i, 6, len(typeOf))]
	c := audit.Change{Type: t.name, Resource: resourceOf(i, t.noun), Outcome: t.outcome}
	if among(i, 7, 2) == 0 {
		c.TeamID = idOf("team", among(i, 8, 40))
	}
	whole := map[string]any{"id": c.Resource.ID, "name": "the " + t.noun + " " + fmt.Sprint(among(i, 9, 500)), "state": "active",
		"created_by": idOf("usr", among(i, 10, auditActors)), "limit": fmt.Sprint(among(i, 11, 100) * 10)}
	switch t.tells {
	case "created":
		c.After = whole
	case "deleted":
		c.Before = whole
	case "updated":
		c.Before = map[string]any{"limit": whole["limit"], "state": "active"}
		c.After = map[string]any{"limit": fmt.Sprint(among(i, 12, 100) * 10), "state": []string{"active", "disabled", "paused"}[among(i, 13, 3)]}
	}
	switch t.name {
	case "authorization.denied":
		c.Data = map[string]string{"rule": "no_grant", "wanted": []string{"teams.update", "api_keys.create", "models.use"}[among(i, 14, 3)]}
	case "data_access.read":
		c.Data = map[string]int{"rows": among(i, 14, 5000)}
	}
	if t.tells == "deleted" {
		c.Reason = "left the company"
	}
	noun, verb, _ := strings.Cut(t.name, ".")
	return actorOf(i), noun + "s." + verb, c
}

// acting are some of the actors, made once: a host has made its own before it changes anything.
var acting = sync.OnceValue(func() []audit.Actor {
	all := make([]audit.Actor, 512)
	for i := range all {
		all[i] = actorOf(i)
	}
	return all
})

// asActor is ctx in which the actor of event i acts.
func asActor(ctx context.Context, i int) context.Context {
	all := acting()
	return audit.WithActor(ctx, all[i%len(all)])
}
