from django.db import migrations, models

from ledger.sql import SQL_FOLDER, run_sql_file


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0004_posting_door'),
    ]

    operations = [
        migrations.AddField(
            model_name='signingkey',
            name='custody',
            field=models.CharField(choices=[('database', 'Database'), ('pkcs11', 'Pkcs11')], default='database', max_length=8),
        ),
        migrations.AddField(
            model_name='signingkey',
            name='label',
            field=models.CharField(blank=True, default='', max_length=80),
        ),
        migrations.AddConstraint(
            model_name='signingkey',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('custody', 'database'), ('label', ''), models.Q(('private_key_encrypted', b''), _negated=True)), models.Q(('custody', 'pkcs11'), ('private_key_encrypted', b''), models.Q(('label', ''), _negated=True)), _connector='OR'), name='signing_key_somewhere'),
        ),
        run_sql_file(SQL_FOLDER, "0005_key_custody"),
    ]
