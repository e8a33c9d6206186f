-- +goose Up

-- What a second plan showed right after the apply: change.Proof, empty before.
alter table executions add column proof text not null default '';
-- How often the result was looked at: above 0, Terraform has ended well, and its row in the ledger is written.
alter table executions add column proofs integer not null default 0;

-- The commit of the default branch whose settings hold as well, if the base is another branch.
alter table runs add column protected_sha text not null default '';
-- What the policies of the pull request would change: change.Preview, empty if it changes none.
alter table runs add column preview text not null default '';

-- What somebody has to look at although no resource is at fault, such as waivers that hold no more.
alter table runs add column notices text not null default '';
alter table plans add column notices text not null default '';
-- The waivers that matched something in the plan, whether they hold or not.
alter table plans add column waivers text not null default '';

create index plans_by_name on plans (name);

-- +goose Down
drop index plans_by_name;
alter table plans drop column waivers;
alter table plans drop column notices;
alter table runs drop column notices;
alter table runs drop column preview;
alter table runs drop column protected_sha;
alter table executions drop column proofs;
alter table executions drop column proof;
