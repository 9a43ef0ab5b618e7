import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models

from ledger.sql import run_sql_file
from settlement.sql import SQL_FOLDER


class Migration(migrations.Migration):

    dependencies = [
        ('exchange', '0011_order_of_offer'),
        ('ledger', '0005_key_custody'),
        ('settlement', '0006_usage_retention'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditorKey',
            fields=[
                ('kid', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('auditor', models.CharField(max_length=80)),
                ('public_jwk', models.JSONField()),
                ('valid_from', models.DateTimeField()),
                ('registered_by', models.CharField(max_length=80)),
                ('revoked_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='ConfirmationImport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.BinaryField(max_length=32, unique=True)),
                ('content', models.BinaryField()),
                ('confirmed', models.IntegerField()),
                ('returned', models.IntegerField()),
                ('imported_at', models.DateTimeField()),
                ('imported_by', models.CharField(max_length=80)),
            ],
        ),
        migrations.CreateModel(
            name='Dispute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line_number', models.BigIntegerField()),
                ('line_kind', models.CharField(max_length=32)),
                ('payee_id', models.BigIntegerField()),
                ('contract_id', models.BigIntegerField()),
                ('buyer_id', models.BigIntegerField()),
                ('provider_id', models.BigIntegerField()),
                ('reason', models.CharField(choices=[('quantity', 'Quantity'), ('quality', 'Quality'), ('price', 'Price'), ('refusals', 'Refusals'), ('shares', 'Shares'), ('other', 'Other')], max_length=12)),
                ('text', models.TextField()),
                ('disputed_micros', models.BigIntegerField()),
                ('suspended_micros', models.BigIntegerField(default=0)),
                ('state', models.CharField(choices=[('open', 'Open'), ('proposed', 'Proposed'), ('upheld', 'Upheld'), ('rejected', 'Rejected'), ('withdrawn', 'Withdrawn'), ('settled', 'Settled')], default='open', max_length=12)),
                ('opened_at', models.DateTimeField()),
                ('opened_by', models.CharField(max_length=80)),
                ('decide_by', models.DateTimeField()),
                ('decided_micros', models.BigIntegerField(null=True)),
                ('proposed_by', models.CharField(blank=True, default='', max_length=80)),
                ('decided_by', models.CharField(blank=True, default='', max_length=80)),
                ('decided_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='DisputeEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sequence', models.IntegerField()),
                ('kind', models.CharField(choices=[('opened', 'Opened'), ('evidence', 'Evidence'), ('statement', 'Statement'), ('proposal', 'Proposal'), ('rejection', 'Rejection'), ('decision', 'Decision'), ('withdrawal', 'Withdrawal'), ('settlement', 'Settlement')], max_length=12)),
                ('at', models.DateTimeField()),
                ('actor', models.CharField(max_length=80)),
                ('party_id', models.BigIntegerField(null=True)),
                ('text', models.TextField(blank=True, default='')),
                ('details', models.JSONField(default=dict)),
            ],
            options={
                'verbose_name_plural': 'dispute entries',
            },
        ),
        migrations.CreateModel(
            name='DisputeEvidence',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=120)),
                ('media_type', models.CharField(max_length=80)),
                ('content', models.BinaryField()),
                ('digest', models.BinaryField(max_length=32)),
            ],
            options={
                'verbose_name_plural': 'dispute evidence',
            },
        ),
        migrations.CreateModel(
            name='ForceMajeure',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('reason', models.TextField()),
                ('state', models.CharField(choices=[('requested', 'Requested'), ('confirmed', 'Confirmed'), ('refused', 'Refused')], default='requested', max_length=12)),
                ('requested_by', models.CharField(max_length=80)),
                ('requested_at', models.DateTimeField()),
                ('decided_by', models.CharField(blank=True, default='', max_length=80)),
                ('decided_at', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name_plural': 'force majeure',
            },
        ),
        migrations.CreateModel(
            name='FrozenInput',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('contract_id', models.BigIntegerField()),
                ('content', models.BinaryField()),
                ('digest', models.BinaryField(max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name='InvoiceRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.CharField(max_length=60, unique=True)),
                ('tax_category', models.CharField(max_length=120)),
                ('tax_rate_ppm', models.IntegerField()),
                ('gross_minor', models.BigIntegerField()),
                ('net_minor', models.BigIntegerField()),
                ('tax_minor', models.BigIntegerField()),
                ('created_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='MakeUpCredit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('contract_id', models.BigIntegerField()),
                ('product_id', models.BigIntegerField()),
                ('buyer_id', models.BigIntegerField()),
                ('provider_id', models.BigIntegerField()),
                ('tokens', models.BigIntegerField()),
                ('bought_tokens', models.BigIntegerField()),
                ('notional_micros', models.BigIntegerField()),
                ('charge_permille', models.IntegerField()),
                ('usable_from', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='MakeUpUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('contract_id', models.BigIntegerField()),
                ('source_contract_id', models.BigIntegerField()),
                ('buyer_id', models.BigIntegerField()),
                ('provider_id', models.BigIntegerField()),
                ('tokens', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='NettedParty',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('credits_micros', models.BigIntegerField()),
                ('debits_micros', models.BigIntegerField()),
                ('net_micros', models.BigIntegerField()),
            ],
            options={
                'verbose_name_plural': 'netted parties',
            },
        ),
        migrations.CreateModel(
            name='NettedRun',
            fields=[
                ('run', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='settlement.settlementrun')),
            ],
        ),
        migrations.CreateModel(
            name='NettingSet',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('value_date', models.DateField()),
                ('sequence', models.IntegerField(default=1)),
                ('gross_micros', models.BigIntegerField()),
                ('net_micros', models.BigIntegerField()),
                ('created_at', models.DateTimeField()),
                ('created_by', models.CharField(max_length=80)),
            ],
        ),
        migrations.CreateModel(
            name='PartyNotice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=32)),
                ('subject', models.CharField(max_length=120)),
                ('text', models.TextField()),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='PaymentFile',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('message_id', models.CharField(max_length=35, unique=True)),
                ('form', models.CharField(choices=[('pain.001', 'pain.001'), ('csv', 'csv')], max_length=8)),
                ('content', models.BinaryField()),
                ('digest', models.BinaryField(max_length=32)),
                ('created_at', models.DateTimeField()),
                ('created_by', models.CharField(max_length=80)),
            ],
        ),
        migrations.CreateModel(
            name='PaymentInstruction',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('micros', models.BigIntegerField()),
                ('end_to_end_id', models.CharField(max_length=35, unique=True)),
                ('state', models.CharField(choices=[('created', 'Created'), ('exported', 'Exported'), ('confirmed', 'Confirmed'), ('returned', 'Returned')], default='created', max_length=12)),
                ('hold_transaction_id', models.BigIntegerField()),
                ('paid_transaction_id', models.BigIntegerField(null=True)),
                ('returned_transaction_id', models.BigIntegerField(null=True)),
                ('bank_reference', models.CharField(blank=True, default='', max_length=120)),
                ('return_reason', models.CharField(blank=True, default='', max_length=200)),
                ('created_at', models.DateTimeField()),
                ('changed_at', models.DateTimeField()),
                ('changed_by', models.CharField(max_length=80)),
            ],
        ),
        migrations.CreateModel(
            name='PayoutAccount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('holder', models.CharField(max_length=70)),
                ('iban', models.CharField(max_length=34)),
                ('bic', models.CharField(blank=True, default='', max_length=11)),
                ('state', models.CharField(choices=[('requested', 'Requested'), ('confirmed', 'Confirmed'), ('refused', 'Refused')], default='requested', max_length=12)),
                ('requested_by', models.CharField(max_length=80)),
                ('requested_at', models.DateTimeField()),
                ('decided_by', models.CharField(blank=True, default='', max_length=80)),
                ('decided_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='RunContract',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('contract_id', models.BigIntegerField()),
                ('shard', models.BigIntegerField()),
                ('place', models.IntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='SettlementCalendar',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.IntegerField()),
                ('period_minutes', models.IntegerField()),
                ('indicative_lag_minutes', models.IntegerField(null=True)),
                ('initial_lag_minutes', models.IntegerField()),
                ('final_lag_minutes', models.IntegerField()),
                ('true_up_lag_minutes', models.IntegerField(null=True)),
                ('dispute_minutes', models.IntegerField()),
                ('created_at', models.DateTimeField()),
                ('created_by', models.CharField(max_length=80)),
            ],
        ),
        migrations.CreateModel(
            name='SettlementLine',
            fields=[
                ('pk', models.CompositePrimaryKey('run_id', 'party_id', 'contract_place', 'place', blank=True, editable=False, primary_key=True, serialize=False)),
                ('run_id', models.BigIntegerField()),
                ('party_id', models.BigIntegerField()),
                ('contract_id', models.BigIntegerField()),
                ('counterparty_id', models.BigIntegerField(null=True)),
                ('tokens', models.BigIntegerField(null=True)),
                ('price_micros', models.BigIntegerField(null=True)),
                ('amount_micros', models.BigIntegerField()),
                ('value_micros', models.BigIntegerField()),
                ('cumulative_micros', models.BigIntegerField()),
                ('exact_numerator', models.DecimalField(decimal_places=0, max_digits=76)),
                ('exact_denominator', models.DecimalField(decimal_places=0, max_digits=38)),
                ('contract_place', models.IntegerField()),
                ('place', models.IntegerField()),
                ('tax_rate_ppm', models.IntegerField()),
                ('tax_category', models.CharField(max_length=120)),
                ('kind', models.CharField(max_length=32)),
                ('beneficiary', models.CharField(default='', max_length=32)),
                ('reference', models.CharField(default='', max_length=200)),
                ('ref', models.CharField(default='', max_length=120)),
            ],
        ),
        migrations.CreateModel(
            name='StatedCore',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sequence', models.IntegerField(null=True)),
                ('core', models.BinaryField()),
                ('digest', models.BinaryField(max_length=32)),
                ('previous_digest', models.BinaryField(max_length=32, null=True)),
                ('records', models.BigIntegerField()),
                ('transaction_id', models.BigIntegerField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='StatementOpinion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('opinion', models.CharField(choices=[('agreed', 'Agreed'), ('agreed_with_findings', 'Agreed With Findings'), ('refused', 'Refused')], max_length=24)),
                ('findings_digest', models.BinaryField(max_length=32, null=True)),
                ('protected', models.TextField()),
                ('signature', models.TextField()),
                ('given_at', models.DateTimeField()),
                ('actor', models.CharField(max_length=80)),
            ],
        ),
        migrations.CreateModel(
            name='StatementPart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.IntegerField()),
                ('first_record', models.BigIntegerField()),
                ('records', models.IntegerField()),
                ('content', models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name='StatementTimeToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('authority', models.CharField(max_length=200)),
                ('token', models.BinaryField()),
                ('stamped_at', models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='settlementrun',
            name='run_once',
        ),
        migrations.AddField(
            model_name='closingbalance',
            name='line_seed',
            field=models.BinaryField(max_length=32, null=True),
        ),
        migrations.AddField(
            model_name='positionsettlement',
            name='metering',
            field=models.TextField(default=''),
        ),
        migrations.AddField(
            model_name='positionsettlement',
            name='reference',
            field=models.CharField(default='', max_length=200),
        ),
        migrations.AddField(
            model_name='settlementjob',
            name='finished_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='settlementjob',
            name='not_before',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='settlementrun',
            name='code_version',
            field=models.CharField(default='', max_length=64),
        ),
        migrations.AddField(
            model_name='settlementrun',
            name='dispute_id',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='settlementrun',
            name='dispute_until',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='settlementrun',
            name='product',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='exchange.product'),
        ),
        migrations.AddField(
            model_name='settlementrun',
            name='sequence',
            field=models.IntegerField(default=1),
        ),
        migrations.AddField(
            model_name='settlementrun',
            name='usage_through',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='settlementrun',
            name='value_date',
            field=models.DateField(null=True),
        ),
        migrations.AlterField(
            model_name='settlementjob',
            name='step',
            field=models.CharField(choices=[('settle', 'Settle'), ('state', 'State'), ('sign', 'Sign'), ('stamp', 'Stamp'), ('release', 'Release')], max_length=16),
        ),
        migrations.AlterField(
            model_name='settlementrun',
            name='kind',
            field=models.CharField(choices=[('indicative', 'Indicative'), ('initial', 'Initial'), ('final', 'Final'), ('true_up', 'True Up'), ('disputed_final', 'Disputed Final')], max_length=16),
        ),
        migrations.AlterField(
            model_name='settlementrun',
            name='state',
            field=models.CharField(choices=[('open', 'Open'), ('stating', 'Stating'), ('signing', 'Signing'), ('published', 'Published')], default='open', max_length=12),
        ),
        migrations.AlterField(
            model_name='statement',
            name='sequence',
            field=models.IntegerField(null=True),
        ),
        migrations.AddIndex(
            model_name='positionsettlement',
            index=models.Index(fields=['run', 'buyer_id'], name='position_settled_of_buyer'),
        ),
        migrations.AddIndex(
            model_name='positionsettlement',
            index=models.Index(fields=['run', 'provider_id'], name='position_settled_of_provider'),
        ),
        migrations.AddConstraint(
            model_name='settlementrun',
            constraint=models.UniqueConstraint(fields=('currency', 'product', 'period_start', 'period_end', 'kind', 'sequence'), name='run_once', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='settlementrun',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['indicative', 'initial', 'final', 'true_up', 'disputed_final'])), name='run_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='settlementrun',
            constraint=models.CheckConstraint(condition=models.Q(('sequence__gte', 1)), name='run_sequence_positive'),
        ),
        migrations.AddConstraint(
            model_name='settlementrun',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('dispute_id__isnull', False), ('kind', 'disputed_final')), models.Q(models.Q(('kind', 'disputed_final'), _negated=True), ('dispute_id__isnull', True)), _connector='OR'), name='run_names_its_dispute'),
        ),
        migrations.AddConstraint(
            model_name='settlementrun',
            constraint=models.UniqueConstraint(fields=('dispute_id',), name='run_of_dispute_once'),
        ),
        migrations.AddField(
            model_name='dispute',
            name='party',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.party'),
        ),
        migrations.AddField(
            model_name='dispute',
            name='statement',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='settlement.statement'),
        ),
        migrations.AddField(
            model_name='disputeentry',
            name='dispute',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='settlement.dispute'),
        ),
        migrations.AddField(
            model_name='disputeevidence',
            name='entry',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='files', to='settlement.disputeentry'),
        ),
        migrations.AddField(
            model_name='forcemajeure',
            name='product',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='exchange.product'),
        ),
        migrations.AddField(
            model_name='forcemajeure',
            name='provider',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.party'),
        ),
        migrations.AddField(
            model_name='frozeninput',
            name='run',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='inputs', to='settlement.settlementrun'),
        ),
        migrations.AddField(
            model_name='invoicerow',
            name='recipient',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.party'),
        ),
        migrations.AddField(
            model_name='invoicerow',
            name='reverses',
            field=models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reversed_by', to='settlement.invoicerow'),
        ),
        migrations.AddField(
            model_name='invoicerow',
            name='run',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='invoice_rows', to='settlement.settlementrun'),
        ),
        migrations.AddField(
            model_name='invoicerow',
            name='supplier',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.party'),
        ),
        migrations.AddField(
            model_name='makeupcredit',
            name='run',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='make_up_credits', to='settlement.settlementrun'),
        ),
        migrations.AddField(
            model_name='makeupuse',
            name='run',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='make_up_uses', to='settlement.settlementrun'),
        ),
        migrations.AddField(
            model_name='nettedparty',
            name='party',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.party'),
        ),
        migrations.AddField(
            model_name='nettingset',
            name='currency',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='ledger.asset'),
        ),
        migrations.AddField(
            model_name='nettedrun',
            name='netting',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='settlement.nettingset'),
        ),
        migrations.AddField(
            model_name='nettedparty',
            name='netting',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='parties', to='settlement.nettingset'),
        ),
        migrations.AddField(
            model_name='partynotice',
            name='party',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='notices', to='ledger.party'),
        ),
        migrations.AddField(
            model_name='paymentfile',
            name='netting',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='files', to='settlement.nettingset'),
        ),
        migrations.AddField(
            model_name='paymentinstruction',
            name='file',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='instructions', to='settlement.paymentfile'),
        ),
        migrations.AddField(
            model_name='paymentinstruction',
            name='netting',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='instructions', to='settlement.nettingset'),
        ),
        migrations.AddField(
            model_name='paymentinstruction',
            name='party',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.party'),
        ),
        migrations.AddField(
            model_name='payoutaccount',
            name='currency',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='ledger.asset'),
        ),
        migrations.AddField(
            model_name='payoutaccount',
            name='party',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.party'),
        ),
        migrations.AddField(
            model_name='paymentinstruction',
            name='payout_account',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='settlement.payoutaccount'),
        ),
        migrations.AlterField(
            model_name='positionsettlement',
            name='run',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='positions', to='settlement.settlementrun'),
        ),
        migrations.AddField(
            model_name='runcontract',
            name='run',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='contracts', to='settlement.settlementrun'),
        ),
        migrations.AddField(
            model_name='settlementcalendar',
            name='product',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='settlement_calendars', to='exchange.product'),
        ),
        migrations.AddIndex(
            model_name='settlementline',
            index=models.Index(fields=['contract_id', 'run_id'], name='settlement_line_of_contract'),
        ),
        migrations.AddField(
            model_name='statedcore',
            name='currency',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='ledger.asset'),
        ),
        migrations.AddField(
            model_name='statedcore',
            name='party',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.party'),
        ),
        migrations.AddField(
            model_name='statedcore',
            name='run',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='cores', to='settlement.settlementrun'),
        ),
        migrations.AddField(
            model_name='statement',
            name='stated',
            field=models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='statement', to='settlement.statedcore'),
        ),
        migrations.AddField(
            model_name='statementopinion',
            name='key',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='opinions', to='settlement.auditorkey'),
        ),
        migrations.AddField(
            model_name='statementopinion',
            name='statement',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='opinions', to='settlement.statement'),
        ),
        migrations.AddField(
            model_name='statementpart',
            name='stated',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='parts', to='settlement.statedcore'),
        ),
        migrations.AddField(
            model_name='statementtimetoken',
            name='statement',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='time_token', to='settlement.statement'),
        ),
        migrations.AddIndex(
            model_name='dispute',
            index=models.Index(fields=['contract_id', 'state'], name='dispute_of_contract'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['open', 'proposed', 'upheld', 'rejected', 'withdrawn', 'settled'])), name='dispute_state_known'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.CheckConstraint(condition=models.Q(('reason__in', ['quantity', 'quality', 'price', 'refusals', 'shares', 'other'])), name='dispute_reason_known'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.CheckConstraint(condition=models.Q(('disputed_micros__gt', 0), ('suspended_micros__gte', 0), ('suspended_micros__lte', models.F('disputed_micros')), models.Q(('decided_micros__isnull', True), ('decided_micros__range', (0, models.F('disputed_micros'))), _connector='OR')), name='dispute_amounts_fit'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['upheld', 'rejected']), _negated=True), models.Q(models.Q(('proposed_by', ''), _negated=True), models.Q(('decided_by', ''), _negated=True), models.Q(('decided_by', models.F('proposed_by')), _negated=True), ('decided_at__isnull', False), ('decided_micros__isnull', False)), _connector='OR'), name='dispute_decided_by_another'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['withdrawn', 'rejected', 'settled']), _negated=True), fields=('statement', 'line_number'), name='dispute_once_a_line'),
        ),
        migrations.AddConstraint(
            model_name='disputeentry',
            constraint=models.UniqueConstraint(fields=('dispute', 'sequence'), name='dispute_entry_once'),
        ),
        migrations.AddConstraint(
            model_name='disputeentry',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['opened', 'evidence', 'statement', 'proposal', 'rejection', 'decision', 'withdrawal', 'settlement'])), name='dispute_entry_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='disputeevidence',
            constraint=models.UniqueConstraint(fields=('entry', 'digest'), name='dispute_evidence_once'),
        ),
        migrations.AddConstraint(
            model_name='forcemajeure',
            constraint=models.CheckConstraint(condition=models.Q(('starts_at__lt', models.F('ends_at'))), name='force_majeure_in_order'),
        ),
        migrations.AddConstraint(
            model_name='forcemajeure',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('decided_by', ''), ('state', 'requested')), models.Q(('state__in', ['confirmed', 'refused']), models.Q(('decided_by', ''), _negated=True), models.Q(('decided_by', models.F('requested_by')), _negated=True), ('decided_at__isnull', False)), _connector='OR'), name='force_majeure_decided_by_another'),
        ),
        migrations.AddConstraint(
            model_name='frozeninput',
            constraint=models.UniqueConstraint(fields=('run', 'contract_id'), name='frozen_once_a_run'),
        ),
        migrations.AddConstraint(
            model_name='invoicerow',
            constraint=models.CheckConstraint(condition=models.Q(('gross_minor', django.db.models.expressions.CombinedExpression(models.F('net_minor'), '+', models.F('tax_minor')))), name='invoice_gross_is_net_and_tax'),
        ),
        migrations.AddConstraint(
            model_name='invoicerow',
            constraint=models.UniqueConstraint(condition=models.Q(('reverses__isnull', True)), fields=('run', 'supplier', 'recipient', 'tax_category', 'tax_rate_ppm'), name='invoice_row_once_a_run'),
        ),
        migrations.AddIndex(
            model_name='makeupcredit',
            index=models.Index(fields=['product_id', 'buyer_id', 'provider_id'], name='make_up_of_pair'),
        ),
        migrations.AddConstraint(
            model_name='makeupcredit',
            constraint=models.UniqueConstraint(fields=('run', 'contract_id', 'buyer_id', 'provider_id'), name='make_up_credit_once_a_run'),
        ),
        migrations.AddIndex(
            model_name='makeupuse',
            index=models.Index(fields=['source_contract_id', 'buyer_id', 'provider_id'], name='make_up_use_of_source'),
        ),
        migrations.AddConstraint(
            model_name='makeupuse',
            constraint=models.UniqueConstraint(fields=('run', 'contract_id', 'source_contract_id', 'buyer_id', 'provider_id'), name='make_up_use_once_a_run'),
        ),
        migrations.AddConstraint(
            model_name='nettingset',
            constraint=models.UniqueConstraint(fields=('currency', 'value_date', 'sequence'), name='netting_once'),
        ),
        migrations.AddConstraint(
            model_name='nettingset',
            constraint=models.CheckConstraint(condition=models.Q(('net_micros__gte', 0), ('net_micros__lte', models.F('gross_micros'))), name='netting_figures_fit'),
        ),
        migrations.AddConstraint(
            model_name='nettedparty',
            constraint=models.UniqueConstraint(fields=('netting', 'party'), name='netted_party_once'),
        ),
        migrations.AddConstraint(
            model_name='nettedparty',
            constraint=models.CheckConstraint(condition=models.Q(('credits_micros__gte', 0), ('debits_micros__gte', 0), ('net_micros', django.db.models.expressions.CombinedExpression(models.F('credits_micros'), '-', models.F('debits_micros')))), name='netted_figures_fit'),
        ),
        migrations.AddConstraint(
            model_name='partynotice',
            constraint=models.UniqueConstraint(fields=('party', 'kind', 'subject'), name='notice_once'),
        ),
        migrations.AddConstraint(
            model_name='payoutaccount',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('decided_by', ''), ('state', 'requested')), models.Q(('state__in', ['confirmed', 'refused']), models.Q(('decided_by', ''), _negated=True), models.Q(('decided_by', models.F('requested_by')), _negated=True), ('decided_at__isnull', False)), _connector='OR'), name='payout_account_decided_by_another'),
        ),
        migrations.AddConstraint(
            model_name='paymentinstruction',
            constraint=models.UniqueConstraint(fields=('netting', 'party'), name='instruction_once_a_party'),
        ),
        migrations.AddConstraint(
            model_name='paymentinstruction',
            constraint=models.CheckConstraint(condition=models.Q(('micros__gt', 0)), name='instruction_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='paymentinstruction',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('file__isnull', True), ('paid_transaction_id__isnull', True), ('state', 'created')), models.Q(('file__isnull', False), ('paid_transaction_id__isnull', True), ('state', 'exported')), models.Q(('file__isnull', False), ('paid_transaction_id__isnull', False), ('state', 'confirmed')), models.Q(('returned_transaction_id__isnull', False), ('state', 'returned'), models.Q(('return_reason', ''), _negated=True)), _connector='OR'), name='instruction_state_complete'),
        ),
        migrations.AddIndex(
            model_name='runcontract',
            index=models.Index(fields=['run', 'shard'], name='run_contract_of_shard'),
        ),
        migrations.AddIndex(
            model_name='runcontract',
            index=models.Index(fields=['contract_id'], name='run_contract_by_contract'),
        ),
        migrations.AddConstraint(
            model_name='runcontract',
            constraint=models.UniqueConstraint(fields=('run', 'contract_id'), name='run_contract_once'),
        ),
        migrations.AddConstraint(
            model_name='runcontract',
            constraint=models.UniqueConstraint(fields=('run', 'place'), name='run_contract_place_once'),
        ),
        migrations.AddConstraint(
            model_name='settlementcalendar',
            constraint=models.UniqueConstraint(fields=('product', 'version'), name='settlement_calendar_version'),
        ),
        migrations.AddConstraint(
            model_name='settlementcalendar',
            constraint=models.CheckConstraint(condition=models.Q(('dispute_minutes__gte', 0), ('initial_lag_minutes__gte', 0), ('period_minutes__range', (1, 1440)), ('final_lag_minutes__gt', models.F('initial_lag_minutes')), models.Q(('true_up_lag_minutes__isnull', True), ('true_up_lag_minutes__gt', models.F('final_lag_minutes')), _connector='OR'), models.Q(('indicative_lag_minutes__isnull', True), ('indicative_lag_minutes__lt', models.F('initial_lag_minutes')), _connector='OR')), name='settlement_calendar_in_order'),
        ),
        migrations.AddConstraint(
            model_name='statedcore',
            constraint=models.UniqueConstraint(fields=('run', 'party'), name='core_once_a_run'),
        ),
        migrations.AddConstraint(
            model_name='statedcore',
            constraint=models.UniqueConstraint(fields=('party', 'currency', 'sequence'), name='core_sequence'),
        ),
        migrations.AddConstraint(
            model_name='statedcore',
            constraint=models.UniqueConstraint(fields=('party', 'currency', 'previous_digest'), name='core_chain_does_not_fork'),
        ),
        migrations.AddConstraint(
            model_name='statedcore',
            constraint=models.CheckConstraint(condition=models.Q(('sequence__gt', 1), ('previous_digest__isnull', True), _connector='XOR'), name='core_previous_in_chain'),
        ),
        migrations.AddConstraint(
            model_name='statementopinion',
            constraint=models.UniqueConstraint(fields=('statement', 'key'), name='opinion_once_a_key'),
        ),
        migrations.AddConstraint(
            model_name='statementopinion',
            constraint=models.CheckConstraint(condition=models.Q(('opinion__in', ['agreed', 'agreed_with_findings', 'refused'])), name='opinion_known'),
        ),
        migrations.AddConstraint(
            model_name='statementopinion',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('findings_digest__isnull', False), ('opinion', 'agreed_with_findings')), models.Q(('opinion', 'agreed_with_findings'), _negated=True), _connector='OR'), name='opinion_findings_when_there_are_some'),
        ),
        migrations.AddConstraint(
            model_name='statementpart',
            constraint=models.UniqueConstraint(fields=('stated', 'number'), name='statement_part_once'),
        ),
        run_sql_file(SQL_FOLDER, "0007_statements_to_check"),
    ]
