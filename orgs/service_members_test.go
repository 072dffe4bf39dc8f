package orgs_test

import (
	"context"

	"github.com/orgkit/orgkit/orgs"
)

// at is the organization, and in its team or project.
func (n names) at() orgs.Place        { return orgs.Place{OrgID: n.Org} }
func (n names) inTeam() orgs.Place    { return orgs.Place{OrgID: n.Org, TeamID: n.Team} }
func (n names) inProject() orgs.Place { return orgs.Place{OrgID: n.Org, TeamID: n.Project} }

// several answers with the first row that failed.
func several[T any](rows []orgs.Row[T], err error) (any, error) {
	for _, r := range rows {
		if err == nil {
			err = r.Err
		}
	}
	return nil, err
}

var teamMethods = []method{
	{name: "CreateTeam",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateTeam(ctx, f.id.Org, orgs.NewTeam{Name: "New"})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateTeam(ctx, f.id.Org, orgs.NewTeam{Name: "Lab"})
		}},
	{name: "UpdateTeam",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateTeam(ctx, f.id.Team, orgs.TeamUpdate{Name: ptr("New")})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateTeam(ctx, f.id.Team, orgs.TeamUpdate{Name: ptr(" ")})
		}},
	{name: "ArchiveTeam",
		call:  func(ctx context.Context, f *fixture) (any, error) { return f.ArchiveTeam(ctx, f.id.Team) },
		wrong: func(ctx context.Context, f *fixture) (any, error) { return f.ArchiveTeam(ctx, f.missing().id.Team) }},
	{name: "UnarchiveTeam",
		first: func(ctx context.Context, f *fixture) error { _, err := f.ArchiveTeam(ctx, f.id.Team); return err },
		call:  func(ctx context.Context, f *fixture) (any, error) { return f.UnarchiveTeam(ctx, f.id.Team) },
		wrong: func(ctx context.Context, f *fixture) (any, error) { return f.UnarchiveTeam(ctx, f.missing().id.Team) }},
	{name: "DeleteTeam", more: 1, because: "the approval request that ends with it has an event of its own",
		call:  func(ctx context.Context, f *fixture) (any, error) { return f.DeleteTeam(ctx, f.id.Team, true) },
		wrong: func(ctx context.Context, f *fixture) (any, error) { return f.DeleteTeam(ctx, f.id.Team, false) }},
	{name: "Team", reads: true, member: hidden, guest: denied, because: "who may read teams:own only knows of no other",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Manager.Team(ctx, f.id.Team) }},
	{name: "TeamFigures", reads: true, member: hidden, guest: denied, because: "who may read teams:own only knows of no other",
		call: func(ctx context.Context, f *fixture) (any, error) {
			t, figures, err := f.TeamFigures(ctx, f.id.Team)
			return []any{t, figures}, err
		}},
	{name: "Teams", reads: true, member: allowed, guest: denied, because: "who may read teams:own lists those",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Teams(ctx, f.id.Org, orgs.PartFilter{}) }},
}

var projectMethods = []method{
	{name: "CreateProject",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateProject(ctx, f.id.Org, orgs.NewProject{Name: "New"})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.CreateProject(ctx, f.id.Org, orgs.NewProject{Name: "Moon"})
		}},
	{name: "UpdateProject", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateProject(ctx, f.id.Org, f.id.Project, orgs.ProjectUpdate{Name: ptr("New")})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateProject(ctx, f.id.Org, f.id.Project, orgs.ProjectUpdate{Name: ptr(" ")})
		}},
	{name: "DeleteProject", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteProject(ctx, f.id.Org, f.id.Project, false)
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.DeleteProject(ctx, f.id.Org, f.id.Team, false)
		}},
	{name: "Project", reads: true, nested: true, member: hidden, guest: denied, because: "who may read projects:own only knows of no other",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Project(ctx, f.id.Org, f.id.Project) }},
	{name: "EveryProject", reads: true, by: byPlatform, global: true, foreign: denied, because: "it is of all organizations, and the platform's",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.EveryProject(ctx, 10, "") }},
	{name: "Projects", reads: true, member: allowed, guest: denied, because: "who may read projects:own lists those",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Projects(ctx, f.id.Org, orgs.PartFilter{})
		}},
}

var memberMethods = []method{
	{name: "PlaceFigures", reads: true, nested: true, member: hidden, guest: denied, because: "who may read teams:own only knows of no other",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.PlaceFigures(ctx, f.id.inTeam()) }},
	{name: "PlaceFigures/of a project", reads: true, nested: true, member: hidden, guest: denied, because: "who may read projects:own only knows of no other",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.PlaceFigures(ctx, f.id.inProject()) }},
	{name: "AddMember", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.AddMember(ctx, f.id.inTeam(), orgs.NewMember{User: "me", Role: "member"})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.AddMember(ctx, f.id.inTeam(), orgs.NewMember{User: "me", Role: "nobody"})
		}},
	{name: "AddMember/to the organization", by: byPlatform,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.AddMember(ctx, f.id.at(), orgs.NewMember{User: f.id.Coming, Role: "member"})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.AddMember(ctx, f.id.at(), orgs.NewMember{User: f.missing().id.Coming, Role: "member"})
		}},
	{name: "AddMembers/each by itself", nested: true, rows: 2, units: 2,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return several(f.AddMembers(ctx, f.id.inProject(), []orgs.NewMember{{User: "me", Role: "member"}, {User: f.id.Joining, Role: "member"}}, false))
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return several(f.AddMembers(ctx, f.id.inProject(), []orgs.NewMember{{User: "me"}, {User: f.id.Joining}}, false))
		}},
	{name: "AddMembers/all or none", nested: true, rows: 2,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return several(f.AddMembers(ctx, f.id.inTeam(), []orgs.NewMember{{User: "me", Role: "member"}, {User: f.id.Joining, Role: "member"}}, true))
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return several(f.AddMembers(ctx, f.id.inTeam(), []orgs.NewMember{{User: "me", Role: "member"}, {User: f.id.Joining, Role: "nobody"}}, true))
		}},
	{name: "UpdateMember", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateMember(ctx, f.id.inTeam(), f.id.User, orgs.MemberUpdate{Role: &f.id.Role})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.UpdateMember(ctx, f.id.inTeam(), f.id.User, orgs.MemberUpdate{Permissions: &orgs.Grants{Add: []string{"!"}}})
		}},
	{name: "RemoveMember", nested: true, more: 1, because: "the approval request that ends with it has an event of its own",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.RemoveMember(ctx, f.id.at(), f.id.User, orgs.MemberRemoval{})
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.RemoveMember(ctx, f.id.at(), f.id.User, orgs.MemberRemoval{ReassignTo: f.id.User})
		}},
	{name: "Member", reads: true, nested: true, member: hidden, guest: denied, because: "who may read members:own only knows of nobody else",
		call: func(ctx context.Context, f *fixture) (any, error) { return f.Member(ctx, f.id.inTeam(), f.id.User) }},
	{name: "Members", reads: true, member: allowed, guest: denied, because: "who may read members:own lists themselves",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Members(ctx, f.id.at(), orgs.MemberFilter{})
		}},
	{name: "Members/of a team", reads: true, nested: true, member: hidden, guest: denied, because: "who may read members:own only knows of no other team",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Members(ctx, f.id.inTeam(), orgs.MemberFilter{})
		}},
}

var invitationMethods = []method{
	{name: "Invite", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			inv, _, err := f.Invite(ctx, f.id.inTeam(), orgs.NewInvitation{Email: "new@acme.example", Role: "member"})
			return inv, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			inv, _, err := f.Invite(ctx, f.id.inTeam(), orgs.NewInvitation{Email: "new", Role: "member"})
			return inv, err
		}},
	{name: "InviteMany/each by itself", nested: true, rows: 2, units: 2,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return several(f.InviteMany(ctx, f.id.inTeam(), []orgs.NewInvitation{{Email: "a@acme.example", Role: "member"}, {Email: "b@acme.example", Role: "member"}}, false))
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return several(f.InviteMany(ctx, f.id.inTeam(), []orgs.NewInvitation{{Email: "a@acme.example"}}, false))
		}},
	{name: "InviteMany/all or none", nested: true, rows: 2,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return several(f.InviteMany(ctx, f.id.inProject(), []orgs.NewInvitation{{Email: "a@acme.example", Role: "member"}, {Email: "b@acme.example", Role: "member"}}, true))
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return several(f.InviteMany(ctx, f.id.inProject(), []orgs.NewInvitation{{Email: "a@acme.example", Role: "member"}, {Email: "b@acme.example"}}, true))
		}},
	{name: "RevokeInvitation", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.RevokeInvitation(ctx, f.id.at(), f.id.Invitation)
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			return f.RevokeInvitation(ctx, f.id.inTeam(), f.id.Invitation)
		}},
	{name: "ResendInvitation", nested: true,
		call: func(ctx context.Context, f *fixture) (any, error) {
			inv, _, err := f.ResendInvitation(ctx, f.id.at(), f.id.Invitation)
			return inv, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			inv, _, err := f.ResendInvitation(ctx, f.id.inTeam(), f.id.Invitation)
			return inv, err
		}},
	{name: "AnswerInvitation", by: byInvitee, foreign: denied, because: "whoever has the token hears that it is another's",
		call: func(ctx context.Context, f *fixture) (any, error) {
			inv, _, err := f.AnswerInvitation(ctx, f.id.Mail, true)
			return inv, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			inv, _, err := f.AnswerInvitation(ctx, "", true)
			return inv, err
		}},
	{name: "AnswerInvitation/with no", by: byInvitee, foreign: denied, because: "whoever has the token hears that it is another's",
		call: func(ctx context.Context, f *fixture) (any, error) {
			inv, _, err := f.AnswerInvitation(ctx, f.id.Mail, false)
			return inv, err
		},
		wrong: func(ctx context.Context, f *fixture) (any, error) {
			inv, _, err := f.AnswerInvitation(ctx, f.missing().id.Mail, false)
			return inv, err
		}},
	{name: "Invitation", reads: true, nested: true, member: hidden, guest: denied, because: "who may read members:own only knows of nobody else",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Manager.Invitation(ctx, f.id.at(), f.id.Invitation)
		}},
	{name: "Invitations", reads: true, nested: true, member: hidden, guest: denied, because: "who may read members:own only knows of nobody else",
		call: func(ctx context.Context, f *fixture) (any, error) {
			return f.Invitations(ctx, f.id.inTeam(), orgs.InvitationFilter{})
		}},
}
