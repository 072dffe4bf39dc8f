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
	store.Unique("org_id", "name"), store.Unique("code"), store.Index("org_id", "size"), store.Index("org_id", "seen"), store.Traced("org_id"))

// tick is a row of a log with a column of every class.
type tick struct {
	OrgID string `store:"word"`
	Seq   int64
	Kind  string `store:"word"`
	At    time.Time
	Note  string
	N, M  int64
	On    bool
	Data  json.RawMessage
	Raw   []byte
}

var ticks = store.DefineLog[tick]("storetest_ticks", []string{"org_id", "seq"}, store.Index("org_id", "kind", "at"))

// tally counts per hour and name.
type tally struct {
	Hour  time.Time
	Name  string
	Count int64
	Cost  int64
	First string
}

var tallies = store.DefineLog[tally]("storetest_tallies", []string{"hour", "name"})

// parcel is a row that the database numbers.
type parcel struct {
	N     int64  `store:"serial"`
	OrgID string `store:"word"`
	Raw   []byte
}

var parcels = store.DefineLog[parcel]("storetest_parcels", []string{"n"})

const sqliteSchema = `
CREATE TABLE storetest_widgets (
	id TEXT NOT NULL, version INTEGER NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
	org_id TEXT NOT NULL, name TEXT NOT NULL, code TEXT, size INTEGER NOT NULL, "on" BOOLEAN NOT NULL,
	seen TEXT NOT NULL, gone TEXT, price TEXT NOT NULL, "limit" TEXT, detail TEXT NOT NULL,
	tags TEXT, extra TEXT, raw TEXT, PRIMARY KEY (id));
CREATE UNIQUE INDEX storetest_widgets_org_id_name_key ON storetest_widgets (org_id, name);
CREATE UNIQUE INDEX storetest_widgets_code_key ON storetest_widgets (code);
CREATE INDEX storetest_widgets_org_id_size_idx ON storetest_widgets (org_id, size, id);
CREATE INDEX storetest_widgets_org_id_seen_idx ON storetest_widgets (org_id, seen, id);
CREATE TABLE storetest_ticks (
	org_id INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL, at INTEGER NOT NULL, note TEXT NOT NULL,
	n INTEGER NOT NULL, m INTEGER NOT NULL, "on" BOOLEAN NOT NULL, data TEXT NOT NULL, raw BLOB NOT NULL,
	PRIMARY KEY (org_id, seq)) WITHOUT ROWID;
CREATE INDEX storetest_ticks_org_id_kind_at_idx ON storetest_ticks (org_id, kind, at);
CREATE TABLE storetest_tallies (
	hour INTEGER NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL, cost INTEGER NOT NULL, first TEXT NOT NULL,
	PRIMARY KEY (hour, name)) WITHOUT ROWID;
CREATE TABLE storetest_parcels (n INTEGER NOT NULL PRIMARY KEY, org_id INTEGER NOT NULL, raw BLOB NOT NULL);`

const postgresSchema = `
CREATE TABLE storetest_widgets (
	id TEXT NOT NULL, version BIGINT NOT NULL, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL,
	org_id TEXT NOT NULL, name TEXT NOT NULL, code TEXT, size BIGINT NOT NULL, "on" BOOLEAN NOT NULL,
	seen TIMESTAMPTZ NOT NULL, gone TIMESTAMPTZ, price NUMERIC NOT NULL, "limit" NUMERIC, detail JSONB NOT NULL,
	tags JSONB, extra JSONB, raw JSONB, PRIMARY KEY (id));
CREATE UNIQUE INDEX storetest_widgets_org_id_name_key ON storetest_widgets (org_id, name);
CREATE UNIQUE INDEX storetest_widgets_code_key ON storetest_widgets (code);
CREATE INDEX storetest_widgets_org_id_size_idx ON storetest_widgets (org_id, size, id);
CREATE INDEX storetest_widgets_org_id_seen_idx ON storetest_widgets (org_id, seen, id);
CREATE TABLE storetest_ticks (
	org_id BIGINT NOT NULL, seq BIGINT NOT NULL, kind BIGINT NOT NULL, at BIGINT NOT NULL, note TEXT NOT NULL,
	n BIGINT NOT NULL, m BIGINT NOT NULL, "on" BOOLEAN NOT NULL, data TEXT NOT NULL, raw BYTEA NOT NULL,
	PRIMARY KEY (org_id, seq));
CREATE INDEX storetest_ticks_org_id_kind_at_idx ON storetest_ticks (org_id, kind, at);
CREATE TABLE storetest_tallies (
	hour BIGINT NOT NULL, name TEXT NOT NULL, count BIGINT NOT NULL, cost BIGINT NOT NULL, first TEXT NOT NULL,
	PRIMARY KEY (hour, name));
CREATE TABLE storetest_parcels (
	n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, org_id BIGINT NOT NULL, raw BYTEA NOT NULL);`

// Kinds are the kinds that the suite keeps; a driver of a host's own needs a table for each.
func Kinds() []*store.Kind {
	return []*store.Kind{widgets.Kind(), ticks.Kind(), tallies.Kind(), parcels.Kind()}
}
