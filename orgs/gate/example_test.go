package gate_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/store/memory"
)

func ExampleGate_Admit() {
	models, _ := billing.NewCatalogue(billing.Model{ID: "gpt-4o", MaxOutputTokens: 4096,
		Price: &billing.Price{InputPerMillion: decimal.RequireFromString("2.5"), OutputPerMillion: decimal.NewFromInt(10)}})
	m, _ := orgs.New(memory.New(nil), &orgs.Options{Catalogue: models})
	platform := audit.WithActor(context.Background(), audit.PlatformAdmin())
	acme, _ := m.CreateOrganization(platform, orgs.NewOrganization{Name: "Acme"})
	limit, hard := billing.NewAmount(decimal.RequireFromString("0.02")), true
	team, _ := m.CreateTeam(platform, acme.ID, orgs.NewTeam{Name: "Engineering",
		Settings: orgs.TeamSettings{Budget: &orgs.BudgetSettings{MonthlyLimit: &limit, HardLimit: &hard}}})
	_, secret, _ := m.CreateAPIKey(platform, orgs.NewAPIKey{Name: "service", Team: team.ID, InheritTeam: true})

	g := gate.New(m)
	ctx := context.Background()
	call := gate.Call{Secret: secret, Model: "gpt-4o", InputTokens: 1000, MaxOutputTokens: 1000}
	for range 3 {
		adm, err := g.Admit(ctx, call)
		var denied *gate.Denied
		if errors.As(err, &denied) {
			fmt.Println("refused:", denied.Code)
			continue
		}
		// ... the request goes upstream here ...
		err = adm.Settle(ctx, billing.Usage{InputTokens: 1000, OutputTokens: 400})
		fmt.Println("held", adm.Cost(), "settled", err == nil)
	}
	// Output:
	// held 0.0125 settled true
	// held 0.0125 settled true
	// refused: budget_exceeded
}
