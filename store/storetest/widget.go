package storetest

import (
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// widget has a column of every class.
type widget struct {
	store.Meta
	OrgID  string
	Name   string
	Code   *string // unique where it is not null
	Size   int64
	On     bool
	Seen   time.Time
	Gone   *time.Time
	Price  decimal.Decimal
	Limit  *decimal.Decimal
	Detail detail
	Tags   []string
	Extra  map[string]string
	Raw    json.RawMessage
}

type detail struct {
	Text  string   `json:"text"`
	Depth *detail  `json:"depth,omitempty"`
	List  []string `json:"list,omitzero"`
}

var widgets = store.Define[widget]("storetest_widgets", "wid",
	store.Unique("org_id", "name"), store.Unique("code"), store.Index("org_id", "size"), store.Index("org_id", "seen"))

const sqliteSchema = `
CREATE TABLE storetest_widgets (
	id TEXT NOT NULL, version INTEGER NOT NULL, created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL,
	org_id TEXT NOT NULL, name TEXT NOT NULL, code TEXT, size INTEGER NOT NULL, "on" BOOLEAN NOT NULL,
	seen TIMESTAMP NOT NULL, gone TIMESTAMP, price TEXT NOT NULL, "limit" TEXT, detail TEXT NOT NULL,
	tags TEXT, extra TEXT, raw TEXT, PRIMARY KEY (id));
CREATE UNIQUE INDEX storetest_widgets_org_id_name_key ON storetest_widgets (org_id, name);
CREATE UNIQUE INDEX storetest_widgets_code_key ON storetest_widgets (code);
CREATE INDEX storetest_widgets_org_id_size_idx ON storetest_widgets (org_id, size);
CREATE INDEX storetest_widgets_org_id_seen_idx ON storetest_widgets (org_id, seen);`

const postgresSchema = `
CREATE TABLE storetest_widgets (
	id TEXT NOT NULL, version BIGINT NOT NULL, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL, name TEXT NOT NULL, code TEXT, size BIGINT NOT NULL, "on" BOOLEAN NOT NULL,
	seen TIMESTAMPTZ NOT NULL, gone TIMESTAMPTZ, price NUMERIC NOT NULL, "limit" NUMERIC, detail JSONB NOT NULL,
	tags JSONB, extra JSONB, raw JSONB, PRIMARY KEY (id));
CREATE UNIQUE INDEX storetest_widgets_org_id_name_key ON storetest_widgets (org_id, name);
CREATE UNIQUE INDEX storetest_widgets_code_key ON storetest_widgets (code);
CREATE INDEX storetest_widgets_org_id_size_idx ON storetest_widgets (org_id, size);
CREATE INDEX storetest_widgets_org_id_seen_idx ON storetest_widgets (org_id, seen);`

// Kinds are the kinds that the suite keeps; a driver of a host's own needs a table for each.
func Kinds() []*store.Kind { return []*store.Kind{widgets.Kind()} }
