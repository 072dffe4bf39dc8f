package main

import (
	"flag"
	"log/slog"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit/export"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
)

// exportFlags say how audit logs are delivered.
type exportFlags struct {
	allow *string
	age   *time.Duration
	lease *time.Duration
}

func newExportFlags(f *flag.FlagSet) exportFlags {
	return exportFlags{
		allow: f.String("allow", "", "hosts, addresses and CIDRs with commas between them that destinations may lie at although they are not public, for tests and sinks of one's own"),
		age:   f.Duration("export-age", 0, "after how long an event goes into an object of its bucket; 0 is 55s"),
		lease: f.Duration("export-lease", 0, "after how long another process takes over what one had begun that is gone; 0 is 1m"),
	}
}

// guard is what the gateway may call.
func (f exportFlags) guard() (*outbound.Guard, error) {
	o := &outbound.Options{}
	if *f.allow != "" {
		o.Allow = strings.Split(*f.allow, ",")
	}
	return outbound.New(o)
}

func (f exportFlags) exporter(s *store.Store, guard *outbound.Guard, sealer *seal.Sealer, log *slog.Logger) *export.Exporter {
	return export.New(s, guard, sealer, &export.Options{Age: *f.age, Log: log})
}
