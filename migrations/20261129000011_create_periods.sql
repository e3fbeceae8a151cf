-- The periods of an organization's year, week, day and life: its own words and colours for each of the seven.

create table periods (
    organization_id uuid not null constraint periods_organization_fkey references organizations on delete cascade,
    id uuid not null,
    number smallint not null constraint periods_number_range check (number between 1 and 7),
    key text not null constraint periods_key_format check (key ~ '^[a-z][a-z0-9-]{0,39}$'),
    -- By language: {"DE": "Wandel", "EN": "Change"}.
    names jsonb not null constraint periods_names_object check (jsonb_typeof(names) = 'object'),
    color text not null constraint periods_color_format check (color ~ '^#[0-9A-F]{6}$'),
    -- By language, at most 20 each.
    keywords jsonb not null constraint periods_keywords_object check (jsonb_typeof(keywords) = 'object'),
    constraint periods_pkey primary key (organization_id, id),
    constraint periods_number_key unique (organization_id, number),
    constraint periods_key_key unique (organization_id, key)
);

alter table periods enable row level security, force row level security;
create policy periods_tenant on periods to aicos_app
    using (organization_id = (select app.current_organization()))
    with check (organization_id = (select app.current_organization()));
-- Everybody in the organization reads them; who is limited to projects changes nothing that others share.
create policy periods_whole_insert on periods as restrictive for insert to aicos_app
    with check ((select app.current_projects()) is null);
create policy periods_whole_update on periods as restrictive for update to aicos_app
    using ((select app.current_projects()) is null)
    with check ((select app.current_projects()) is null);

grant select, insert on periods to aicos_app;
grant update (key, names, color, keywords) on periods to aicos_app;

-- Organizations that are there already get what a new one starts with. The owner's own view of the tenants' tables is
-- closed, so it is opened for this statement.
alter table organizations no force row level security;
alter table periods no force row level security;
insert into periods (organization_id, id, number, key, names, color, keywords)
select o.id, gen_random_uuid(), p.number, p.key, p.names, p.color, p.keywords
from organizations o cross join (values
    (1::smallint, 'image', '{"DE": "Image", "EN": "Image"}'::jsonb, '#DAA520',
     '{"DE": ["Selbstbild", "Identität", "Authentizität", "Selbstvertrauen", "Ausstrahlung"], "EN": ["self-image", "identity", "authenticity", "self-confidence", "charisma"]}'::jsonb),
    (2::smallint, 'change', '{"DE": "Veränderung", "EN": "Change"}'::jsonb, '#2196F3',
     '{"DE": ["Veränderung", "Transformation", "Wandel", "Neubeginn", "Wachstum"], "EN": ["change", "transformation", "transition", "new beginning", "growth"]}'::jsonb),
    (3::smallint, 'energy', '{"DE": "Energie", "EN": "Energy"}'::jsonb, '#F44336',
     '{"DE": ["Energie", "Vitalität", "Kraft", "Motivation", "Lebenskraft"], "EN": ["energy", "vitality", "strength", "motivation", "life force"]}'::jsonb),
    (4::smallint, 'creativity', '{"DE": "Kreativität", "EN": "Creativity"}'::jsonb, '#FFD700',
     '{"DE": ["Kreativität", "Innovation", "Inspiration", "Schöpfung", "künstlerisch"], "EN": ["creativity", "innovation", "inspiration", "creation", "artistic"]}'::jsonb),
    (5::smallint, 'success', '{"DE": "Erfolg", "EN": "Success"}'::jsonb, '#CC0066',
     '{"DE": ["Erfolg", "Ziele", "Manifestation", "Leistung", "Zielerreichung"], "EN": ["success", "goals", "manifestation", "achievement", "goal attainment"]}'::jsonb),
    (6::smallint, 'relaxation', '{"DE": "Entspannung", "EN": "Relaxation"}'::jsonb, '#4CAF50',
     '{"DE": ["Entspannung", "Ruhe", "Balance", "Gelassenheit", "Erholung"], "EN": ["relaxation", "calm", "balance", "serenity", "recovery"]}'::jsonb),
    (7::smallint, 'prudence', '{"DE": "Umsicht", "EN": "Prudence"}'::jsonb, '#9C27B0',
     '{"DE": ["Umsicht", "Weisheit", "Besonnenheit", "Planung", "Entscheidungen"], "EN": ["prudence", "wisdom", "thoughtfulness", "planning", "decisions"]}'::jsonb)
) as p (number, key, names, color, keywords);
alter table organizations force row level security;
alter table periods force row level security;
