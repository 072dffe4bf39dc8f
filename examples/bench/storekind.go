package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// team is a record as most are: a few texts, one structure, one unique set.
type team struct {
	store.Meta
	OrgID       string
	Name        string
	Slug        string
	SlugKey     string
	Description string
	Settings    settings
	State       string
}

type settings struct {
	Models   []string        `json:"models"`
	Features map[string]bool `json:"features"`
	Limit    string          `json:"limit"`
}

// AuditResource names the team in the event of a change.
func (t team) AuditResource() audit.Resource {
	return audit.Resource{Type: "team", ID: t.ID, Slug: t.Slug}
}

var teams = store.Define[team]("bench_teams", "team",
	store.Unique("org_id", "slug_key"), store.Index("slug_key"))

func newTeam(i int) team {
	slug := fmt.Sprintf("team-%07d", i)
	return team{OrgID: fmt.Sprintf("org_%03d", i%100), Name: "Team " + slug, Slug: slug, SlugKey: slug,
		Description: "A team as most are, with a sentence about what it does.", State: "active",
		Settings: settings{Models: []string{"gpt-4*", "claude-*"}, Features: map[string]bool{"batch": true, "vision": false}, Limit: "1000.00"}}
}

// key has the columns and keys of an API key.
type key struct {
	store.Meta
	OrgID             string
	TeamID            string
	ProjectID         string
	Name              string
	UserID            string
	CreatedBy         string
	InheritTeam       bool
	Permissions       []string
	Restrictions      restrictions
	DefaultTags       map[string]string
	Metadata          json.RawMessage
	Prefix            string
	Last4             string
	Hash              string
	Disabled          bool
	RevokedAt         *time.Time
	ExpiresAt         *time.Time
	PreviousHash      *string
	PreviousExpiresAt *time.Time
}

type restrictions struct {
	AllowedIPs           []string `json:"allowed_ips"`
	MaxRequestsPerMinute *int     `json:"max_requests_per_minute"`
}

var keys = store.Define[key]("bench_keys", "key",
	store.Unique("hash"), store.Unique("previous_hash"), store.Index("org_id", "created_at"),
	store.Index("org_id", "team_id", "created_at"), store.Index("org_id", "user_id"), store.Index("org_id", "project_id"))

func newKey(orgID string, i int) key {
	hash := fmt.Sprintf("%016x%048x", mix(uint64(i)), i) // random and long, as hashes are
	return key{OrgID: orgID, TeamID: fmt.Sprintf("team_%04d", i%1000), Name: fmt.Sprintf("key %07d", i),
		UserID: fmt.Sprintf("user_%05d", i%50_000), CreatedBy: "user_00001", InheritTeam: i%2 == 0,
		Permissions: []string{"models.use"}, Prefix: "ok_live_", Last4: hash[:4], Hash: hash}
}

// mix scatters numbers (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// call is a row of 16 columns, as a usage event has.
type call struct {
	OrgID        string `store:"word"`
	At           time.Time
	ID           string
	TeamID       string
	KeyID        string
	UserID       string
	RequestID    string
	Model        string `store:"word"`
	Provider     string `store:"word"`
	Action       string `store:"word"`
	InputTokens  int64
	OutputTokens int64
	CachedTokens int64
	CostMicros   int64
	LatencyMS    int64
	Streamed     bool
}

var calls = store.DefineLog[call]("bench_calls", []string{"org_id", "at", "id"})

// newCalls are n rows from number first on, a millisecond apart, of many organizations.
func newCalls(first, n int) []call {
	begin := time.Date(2024, 3, 5, 12, 0, 0, 0, time.UTC)
	rows := make([]call, n)
	for i := range rows {
		at := first + i
		rows[i] = call{OrgID: fmt.Sprintf("org_%03d", at%100), At: begin.Add(time.Duration(at) * time.Millisecond),
			ID: fmt.Sprintf("use_%026d", at), TeamID: fmt.Sprintf("team_%026d", at%1000), KeyID: fmt.Sprintf("key_%026d", at%5000),
			UserID: fmt.Sprintf("user_%026d", at%3000), RequestID: fmt.Sprintf("req_%032x", mix(uint64(at))),
			Model: fmt.Sprintf("model-%02d", at%40), Provider: fmt.Sprintf("provider-%d", at%6), Action: "models.use",
			InputTokens: int64(at % 8000), OutputTokens: int64(at % 900), CachedTokens: int64(at % 300),
			CostMicros: int64(at % 70_000), LatencyMS: int64(at % 4000), Streamed: at%3 == 0}
	}
	return rows
}
