package export_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/memory"
)

// A host lets the exporter and the worker run beside its server: go x.Run(ctx), go worker.Run(ctx).
func Example() {
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("received", r.Header.Get("Content-Type"))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer sink.Close()

	ctx := audit.WithActor(context.Background(), audit.PlatformAdmin())
	s := memory.New(nil)
	// In production the guard allows nothing inside, and a sealer keeps the keys of destinations.
	guard, err := outbound.New(&outbound.Options{Allow: []string{"127.0.0.1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	x := export.New(s, guard, nil, nil)
	m, err := orgs.New(s, &orgs.Options{URLs: guard, Exports: x})
	if err != nil {
		fmt.Println(err)
		return
	}
	worker := jobs.NewWorker(s, nil)
	x.Register(worker, m.Audit())

	org, err := m.CreateOrganization(ctx, orgs.NewOrganization{Name: "Acme"})
	fmt.Println(err)
	// Verify tries the destination first.
	in := orgs.NewAuditConfig{Verify: true, Destinations: []orgs.NewDestination{{Destination: audit.Destination{Type: audit.SIEM, Endpoint: sink.URL, Format: "ocsf"}}}}
	c, _, err := m.SetAuditConfig(ctx, org.ID, in)
	fmt.Println(err, c.Deliveries[c.Destinations[0].ID].Status)

	fmt.Println(x.Sweep(ctx)) // what Run does every second
	ran, err := worker.RunDue(ctx)
	fmt.Println(ran, err)
	lags, err := m.Audit().Lags(ctx)
	fmt.Println(lags[0].Events, err)
	// Output:
	// <nil>
	// received application/json
	// <nil> ok
	// <nil>
	// received application/json
	// 1 <nil>
	// 0 <nil>
}

func ExampleRender() {
	records, err := export.Render("ecs", audit.Event{Type: "team.created", ActorType: audit.User, ActorID: "usr_1"})
	fmt.Println(len(records), err)
	// Output: 1 <nil>
}
