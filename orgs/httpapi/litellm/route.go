package litellm

// route is one call. What it is named, asked and answers is what the description says, by whose names clients are generated.
type route struct {
	method, path string   // without the prefix
	name         string   // of the function that LiteLLM has for it; "" describes it nowhere
	asks         string   // the schema of the body
	known        []string // fields of the body or query
	required     []string // of them
	answers      any      // of that type
	may          access
	run          func(*call) (any, error)
	shape        byte // 'B' where all errors are of that shape
	query        bool // it takes its fields from there
}

var budgetRequest = append([]string{"budget_id", "budget_reset_at"}, budgetFields...)

// routes are all calls.
var routes = []route{
	{method: "POST", path: "/organization/new", name: "new_organization", asks: "NewOrganizationRequest", known: newFields, required: []string{"organization_alias"}, answers: newRow{}, may: mayCreate, run: (*call).newOrganization},
	{method: "PATCH", path: "/organization/update", name: "update_organization", asks: "LiteLLM_OrganizationTableUpdate", known: updateFields, required: []string{"organization_id"}, answers: orgRow{}, may: mayChange, run: (*call).updateOrganization},
	{method: "PATCH", path: "/v2/organization/{organization_id}", name: "update_organization_v2", asks: "OrganizationUpdateRequestV2", known: patchFields, answers: orgRow{}, may: mayChange, run: (*call).patchOrganization},
	{method: "DELETE", path: "/organization/delete", name: "delete_organization", asks: "DeleteOrganizationRequest", known: []string{"organization_ids"}, required: []string{"organization_ids"}, answers: []orgRow{}, may: mayTry, run: (*call).deleteOrganizations},
	{method: "GET", path: "/organization/list", name: "list_organization", known: []string{"org_id", "org_alias", "limit", "cursor"}, answers: []orgRow{}, may: mayTry, run: (*call).listOrganizations, query: true},
	{method: "POST", path: "/organization/list", known: []string{"org_id", "org_alias", "limit", "cursor"}, answers: []orgRow{}, may: mayTry, run: (*call).listOrganizations, query: true},
	{method: "GET", path: "/organization/info", name: "info_organization", known: []string{"organization_id"}, required: []string{"organization_id"}, answers: orgRow{}, may: mayRead, run: (*call).infoOrganization, query: true},
	{method: "POST", path: "/organization/info", name: "deprecated_info_organization", asks: "OrganizationRequest", known: []string{"organizations"}, required: []string{"organizations"}, answers: []rawRow{}, may: mayTry, run: (*call).infoOrganizations},
	{method: "GET", path: "/organization/daily/activity", name: "get_organization_daily_activity", known: []string{"organization_ids", "exclude_organization_ids", "start_date", "end_date", "model", "api_key", "page", "page_size"},
		required: []string{"start_date", "end_date"}, answers: activityRow{}, may: mayTry, run: (*call).dailyActivity, query: true},
	{method: "POST", path: "/organization/member_add", name: "organization_member_add", asks: "OrganizationMemberAddRequest", known: []string{"organization_id", "member", "max_budget_in_organization"}, required: []string{"organization_id", "member"}, answers: addedRow{}, may: mayManage, run: (*call).addMembers, shape: 'B'},
	{method: "PATCH", path: "/organization/member_update", name: "organization_member_update", asks: "OrganizationMemberUpdateRequest", known: []string{"organization_id", "user_id", "user_email", "role", "max_budget_in_organization"}, required: []string{"organization_id"}, answers: memberRow{}, may: mayManage, run: (*call).updateMember},
	{method: "DELETE", path: "/organization/member_delete", name: "organization_member_delete", asks: "OrganizationMemberDeleteRequest", known: []string{"organization_id", "user_id", "user_email"}, required: []string{"organization_id"}, answers: &deletedRow{}, may: mayManage, run: (*call).deleteMember},
	{method: "POST", path: "/budget/new", name: "new_budget", asks: "BudgetNewRequest", known: budgetRequest, answers: fullBudgetRow{}, may: mayAdmin, run: (*call).newBudget},
	{method: "POST", path: "/budget/info", name: "info_budget", asks: "BudgetRequest", known: []string{"budgets"}, required: []string{"budgets"}, answers: []fullBudgetRow{}, may: mayAdmin, run: (*call).infoBudgets},
	{method: "POST", path: "/budget/update", name: "update_budget", asks: "BudgetNewRequest", known: budgetRequest, answers: fullBudgetRow{}, may: mayAdmin, run: (*call).updateBudget},
	{method: "GET", path: "/budget/list", name: "list_budget", answers: []fullBudgetRow{}, may: mayTry, run: (*call).listBudgets, query: true},
	{method: "POST", path: "/budget/delete", name: "delete_budget", asks: "BudgetDeleteRequest", known: []string{"id"}, required: []string{"id"}, answers: fullBudgetRow{}, may: mayAdmin, run: (*call).deleteBudget},
	{method: "POST", path: "/user/new", name: "new_user", asks: "NewUserRequest", known: userFields, answers: newUserRow{}, may: mayMake, run: (*call).newUser, shape: 'B'},
	{method: "GET", path: "/user/info", name: "user_info", known: []string{"user_id"}, answers: userInfoRow{}, may: mayTry, run: (*call).infoUser, shape: 'B', query: true},
	{method: "POST", path: "/user/delete", name: "delete_user", asks: "DeleteUserRequest", known: []string{"user_ids"}, required: []string{"user_ids"}, answers: 0, may: mayAdmin, run: (*call).deleteUsers, shape: 'B'},
	{method: "POST", path: "/team/new", name: "new_team", asks: "NewTeamRequest", known: teamFields, answers: teamRow{}, may: mayTry, run: (*call).newTeam, shape: 'B'},
	{method: "GET", path: "/team/info", name: "team_info", known: []string{"team_id"}, required: []string{"team_id"}, answers: teamInfoRow{}, may: mayTry, run: (*call).infoTeam, shape: 'B', query: true},
	{method: "POST", path: "/team/delete", name: "delete_team", asks: "DeleteTeamRequest", known: []string{"team_ids"}, required: []string{"team_ids"}, answers: map[string][]string{}, may: mayTry, run: (*call).deleteTeams},
	{method: "POST", path: "/team/member_add", name: "team_member_add", asks: "TeamMemberAddRequest", known: []string{"team_id", "member", "max_budget_in_team"}, required: []string{"team_id", "member"}, answers: changedTeamRow{}, may: mayTry, run: (*call).addTeamMembers, shape: 'B'},
	{method: "POST", path: "/team/member_delete", name: "team_member_delete", asks: "TeamMemberDeleteRequest", known: []string{"team_id", "user_id", "user_email"}, required: []string{"team_id"}, answers: teamRow{}, may: mayTry, run: (*call).deleteTeamMember, shape: 'B'},
	{method: "POST", path: "/key/generate", name: "generate_key_fn", asks: "GenerateKeyRequest", known: keyFields, answers: newKeyRow{}, may: mayTry, run: (*call).newKey, shape: 'B'},
	{method: "GET", path: "/key/info", name: "info_key_fn", known: []string{"key"}, answers: keyInfoRow{}, may: mayTry, run: (*call).infoKey, shape: 'B', query: true},
	{method: "POST", path: "/key/delete", name: "delete_key_fn", asks: "KeyRequest", known: []string{"keys", "key_aliases"}, answers: map[string][]string{}, may: mayTry, run: (*call).deleteKeys, shape: 'B'},
}
