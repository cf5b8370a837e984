using Postwright.Core.Configuration;
using Postwright.Core.Configuration.Check;
using Postwright.Core.Tables;
using Postwright.Testing;

namespace Postwright.Core.Tests.Configuration;

public sealed class ConfigurationCheckTests
{
    private const string Level = "compatibility_level = 3.6\n";

    private static IReadOnlyList<ConfigurationFinding> Check(string main, string master = "")
        => ConfigurationCheck.Run(MailConfiguration.FromText(main, master, PostconfHarness.Somewhere));

    private static ConfigurationFinding Single(string main, string master = "") => Assert.Single(Check(main, master));

    [Fact]
    public void A_good_configuration_has_no_findings()
        => Assert.Empty(Check(
            Level + "myhostname = mail.example.org\nmynetworks = 127.0.0.0/8 [::1]/128\nrelayhost = [mx.example.org]:587\ndelay_warning_time = 5m, 4h\n",
            "smtp inet n - y - - smtpd\npickup unix n - y 60 1 pickup\ntlsmgr unix - - y 1000? 1 tlsmgr\nlocal unix - n n - - local\nsmtp unix - - y - - smtp\nrelay unix - - y - - smtp\n" +
            "virtual unix - n n - - virtual\nerror unix - - y - - error\nuucp unix - n n - - pipe\n  flags=Fqhu user=uucp argv=uux -r $recipient\n"));

    [Fact]
    public void Every_error_is_reported_at_once_with_its_line()
    {
        IReadOnlyList<ConfigurationFinding> findings = Check(
            "nonsense\nmyhostname = -x-\nsoft_bounce = maybe\nsmtpd_timeout = 5q\nmyorigin = ${a b}\n= 3\nheader_checks = regexp:/x\n",
            "smtp inet n - q - - smtpd\nfoo unix - - n - - frob\nshort unix\nbar inet n - n - - smtpd -o\n");

        Assert.Equal(
            ["1", "2", "3", "4", "5", "6", "7"],
            findings.Where(f => f.File == "/etc/postfix/main.cf" && f.Severity == FindingSeverity.Error && f.Line > 0).Select(f => $"{f.Line}").Distinct());
        Assert.Equal([1, 2, 3, 4], findings.Where(f => f.File == "/etc/postfix/master.cf").Select(f => f.Line).Distinct());
    }

    [Fact]
    public void Every_type_of_table_that_can_be_opened_is_known_to_the_check()
    {
        Assert.Contains("redis", TableRegistry.SupportedTypes);
        foreach (string type in TableRegistry.SupportedTypes.Except(["proxy"]))
        {
            Assert.Equal(type, Assert.Single(TableReference.In([$"{type}:passwd.byname"])).Type);
        }
    }

    [Theory]
    [InlineData("virtual_uid_maps = redis:/etc/postfix/uids.cf", "virtual_uid_maps: tables on servers do not say whose rights a delivery has: mail that needs redis:/etc/postfix/uids.cf waits")]
    [InlineData("virtual_gid_maps = http:/etc/postfix/gids.cf", "virtual_gid_maps: tables on servers do not say whose rights a delivery has: mail that needs http:/etc/postfix/gids.cf waits")]
    [InlineData("alias_maps = tcp:127.0.0.1:1", "alias_maps: tcp:127.0.0.1:1 map is not allowed for security sensitive data: mail that needs it waits")]
    [InlineData("alias_maps = unionmap:{inline:{a=b}, memcache:/x.cf}", "alias_maps: memcache:/x.cf map is not allowed for security-sensitive data: mail that needs it waits")]
    [InlineData("virtual_mailbox_maps = proxy:socketmap:inet:h:1:x", "virtual_mailbox_maps: socketmap:inet:h:1:x map is not allowed for security-sensitive data: mail that needs it waits")]
    [InlineData("transport_maps = sdbm:/x", "transport_maps: unsupported dictionary type: sdbm; lookups in sdbm:/x fail, and the mail that needs them waits")]
    public void A_table_that_a_delivery_would_not_take_is_pointed_out(string line, string text)
        => Assert.Contains(Check(Level + line), finding => finding.Severity == FindingSeverity.Warning && finding.Text == text);

    [Theory]
    [InlineData("header_checks = pcre:/etc/postfix/header_checks", "header_checks")]
    [InlineData("content_filter = smtp:[127.0.0.1]:10024", "content_filter")]
    [InlineData("smtpd_milters = inet:localhost:8891", "smtpd_milters")]
    [InlineData("smtpd_sasl_auth_enable = yes", "smtpd_sasl_auth_enable")]
    [InlineData("smtpd_tls_security_level = may", "smtpd_tls_security_level")]
    [InlineData("smtp_tls_security_level = encrypt", "smtp_tls_security_level")]
    [InlineData("canonical_maps = inline:{a=b}", "canonical_maps")]
    [InlineData("sender_bcc_maps = inline:{a=b}", "sender_bcc_maps")]
    [InlineData("smtpd_proxy_filter = 127.0.0.1:10025", "smtpd_proxy_filter")]
    public void What_would_filter_or_redirect_or_encrypt_stops_start(string line, string name)
    {
        ConfigurationFinding error = Assert.Single(Check(Level + line), f => f.Severity == FindingSeverity.Error);
        Assert.Equal(2, error.Line);
        Assert.StartsWith(name + " is not implemented yet", error.Text, StringComparison.Ordinal);

        Assert.DoesNotContain(Check(Level + line + $"\npostwright_ignore_unimplemented = {name}"), f => f.Severity == FindingSeverity.Error);
    }

    [Theory]
    [InlineData("header_checks =")]
    [InlineData("smtpd_sasl_auth_enable = NO")]
    [InlineData("smtpd_tls_security_level = none")]
    [InlineData("smtp_tls_security_level = may")]
    [InlineData("mime_header_checks = $header_checks")]
    [InlineData("authorized_submit_users = static:anyone")]
    public void A_value_that_changes_nothing_is_no_finding(string line) => Assert.Empty(Check(Level + line));

    [Fact]
    public void Overrides_in_master_cf_stop_start_too()
    {
        ConfigurationFinding error = Single(Level, "smtps inet n - y - - smtpd\n  -o smtpd_tls_wrappermode=yes\n");

        Assert.Equal(FindingSeverity.Error, error.Severity);
        Assert.Equal("/etc/postfix/master.cf", error.File);
        Assert.Equal(1, error.Line);
    }

    [Fact]
    public void A_name_that_is_misspelt_is_pointed_out_with_the_right_one()
        => Assert.Contains("did you mean mydestination?", Single(Level + "mydestinations = a.example").Text, StringComparison.Ordinal);

    [Fact]
    public void Restrictions_that_do_not_work_are_told_before_a_client_meets_them()
    {
        IReadOnlyList<ConfigurationFinding> findings = Check(Level +
            "smtpd_recipient_restrictions = permit_mynetworks, reject_rbl_client zen.example, reject_unauth_destinaton, check_client_access, reject_unauth_destination\n");

        Assert.Contains(findings, f => f.Text.Contains("reject_rbl_client is not implemented yet", StringComparison.Ordinal));
        Assert.Contains(findings, f => f.Text.Contains("did you mean reject_unauth_destination?", StringComparison.Ordinal));
        Assert.Contains(findings, f => f.Text.Contains("need maptype:mapname", StringComparison.Ordinal));
        Assert.All(findings, f => Assert.Equal(FindingSeverity.Warning, f.Severity));
    }

    [Fact]
    public void A_server_without_a_relay_restriction_does_not_start()
    {
        Assert.Contains("at least one working instance", Single("", "smtp inet n - y - - smtpd").Text, StringComparison.Ordinal);
        Assert.Contains("at least one working instance", Single(Level + "smtpd_relay_restrictions = permit_mynetworks", "smtp inet n - y - - smtpd").Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Postscreen_and_unknown_commands_stop_start()
    {
        Assert.Equal(FindingSeverity.Error, Single(Level, "smtp inet n - y - 1 postscreen").Severity);
        Assert.Contains("unknown command \"smptd\"", Single(Level, "smtp inet n - y - 1 smptd").Text, StringComparison.Ordinal);
        Assert.Contains("no port \"smtpx\"", Single(Level, "127.0.0.1:smtpx inet n - y - 1 smtpd").Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_network_with_host_bits_is_pointed_out()
        => Assert.Contains("\"192.168.1.0/24\"", Single(Level + "mynetworks = 127.0.0.0/8, 192.168.1.7/24").Text, StringComparison.Ordinal);

    [Fact]
    public void A_mailbox_limit_below_the_message_limit_stops_start()
        => Assert.Equal(FindingSeverity.Error, Single(Level + "message_size_limit = 60000000\nvirtual_mailbox_limit = 0\nmailbox_size_limit = 51200000").Severity);

    [Fact]
    public void What_the_textbook_teaches_is_pointed_out_in_the_access_table()
    {
        string folder = PostconfHarness.TemporaryFolder();
        try
        {
            string table = Path.Combine(folder, "access");
            File.WriteAllText(table, "# the book's table\n120.114.141.60 OK\n.edu.tw OK\nav.com REJECT\n192.168.2. REJECT\n");
            string trust = Level + $"mynetworks = 127.0.0.0/8, texthash:{table}\n";

            Assert.Equal([3, 4, 5], Check(trust).Where(f => f.File == table).Select(f => f.Line).Order());
            Assert.Empty(Check(trust + "mynetworks_table_access = yes\naccess_trailing_dot = yes\naccess_leading_dot = yes\n"));
            Assert.Equal(
                [3, 5],
                Check(Level + $"smtpd_client_restrictions = check_client_access texthash:{table}\n").Where(f => f.File == table).Select(f => f.Line).Order());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_table_without_its_database_is_pointed_out()
    {
        ConfigurationFinding finding = Single(Level + "transport_maps = hash:/nonexistent/transport");

        Assert.Contains("run postmap hash:/nonexistent/transport", finding.Text, StringComparison.Ordinal);
        Assert.Equal(FindingSeverity.Warning, finding.Severity);
    }

    [Fact]
    public void What_is_installed_with_the_books_settings_in_it_starts()
    {
        string dist = Path.Combine(TestPrograms.ProjectRoot, "dist");
        string main = File.ReadAllText(Path.Combine(dist, "main.cf")) + """

            myhostname = www.centos.vbird
            myorigin = $myhostname
            inet_interfaces = all
            inet_protocols = ipv4
            mydestination = $myhostname, localhost.$mydomain, localhost, linux.centos.vbird, ftp.centos.vbird
            mynetworks_style = subnet
            mynetworks = 127.0.0.0/8, 192.168.100.0/24, hash:/etc/postfix/access
            relay_domains = $mydestination
            alias_maps = hash:/etc/aliases
            alias_database = hash:/etc/aliases
            """.Replace("            ", "", StringComparison.Ordinal);

        // Only the databases, which postmap and postalias make next, may be missing here.
        Assert.All(
            Check(main, File.ReadAllText(Path.Combine(dist, "master.cf"))),
            finding => Assert.True(
                finding.Severity == FindingSeverity.Warning
                    && (finding.Text.Contains(".db", StringComparison.Ordinal) || finding.Text.StartsWith("overriding earlier entry", StringComparison.Ordinal)),
                finding.ToString()));
    }

    [Fact]
    public void Templates_of_notices_that_cannot_be_made_stop_start()
    {
        string folder = PostconfHarness.TemporaryFolder();
        try
        {
            string path = Path.Combine(folder, "bounce.cf");
            string main = Level + $"bounce_template_file = {path}\n";
            Assert.Contains($"open {path}: No such file or directory", Single(main).Text, StringComparison.Ordinal);

            File.WriteAllText(path, "failure_template = <<EOF\n\nfrom $nobody\nEOF\n");
            Assert.Equal((FindingSeverity.Error, 2), (Single(main).Severity, Single(main).Line));
            Assert.Contains("undefined $name in failure template: from $nobody", Single(main).Text, StringComparison.Ordinal);

            File.WriteAllText(path, "failure_template = <<EOF\nX-Foo: bar\n\ntext\nEOF\n");
            Assert.Equal(FindingSeverity.Warning, Single(main).Severity);

            File.WriteAllText(path, "failure_template = <<EOF\n\ntext of $mail_name\nEOF\n");
            Assert.Empty(Check(main));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("inet, !smtp/inet", true)]
    [InlineData("smtp", false)]
    [InlineData("smtp.inet", false)]
    [InlineData("/unix", false)]
    public void A_list_of_disabled_services_must_be_understood(string value, bool good)
        => Assert.Equal(good, Check(Level + $"master_service_disable = {value}\n").Count == 0);

    [Fact]
    public void What_has_no_effect_here_is_never_warned_of_at_start()
    {
        IEnumerable<ParameterDefinition> rows = ParameterTable.All.Where(r => r.Support == ParameterSupport.NoEffect && r.Scope == ParameterScope.Builtin
            && !MailConfiguration.IsReadOnly(r.Name));
        string Other(ParameterDefinition row) => row.Kind switch
        {
            ParameterKind.Bool => "no",
            ParameterKind.Int or ParameterKind.Long => $"{row.Minimum + 7}",
            ParameterKind.Time => $"{row.Minimum + 7}s",
            _ => "other",
        };
        string main = Level + string.Concat(rows.Select(row => $"{row.Name} = {Other(row)}\n"));

        Assert.True(rows.Count() > 70);
        Assert.Equal([], Check(main).Select(f => f.ToString()));
    }

    [Fact]
    public void The_summary_counts_what_is_obeyed_and_names_the_rest()
    {
        MailConfiguration Read(string text) => MailConfiguration.FromText(text, "smtp inet n - y - - smtpd -o max_use=7 -o smtpd_timeout=5s\n", PostconfHarness.Somewhere);

        Assert.Equal(
            [
                "/etc/postfix: of 6 parameters that are set, 3 are obeyed",
                "no effect, since there is nothing here that they describe: ipc_timeout max_use",
                "not implemented: enable_errors_to",
            ],
            SupportSummary.Of(Read(Level + "own = 1\nrelayhost = $own\nipc_timeout = 5s\nenable_errors_to = yes\n")));
        Assert.Equal([], SupportSummary.Of(MailConfiguration.FromText(Level + "enable_errors_to = no\nmyhostname = a.example.org\n", null, PostconfHarness.Somewhere)));
    }

    [Fact]
    public void Only_identities_are_not_looked_up_on_servers()
    {
        const string Maps = "alias_maps = ldap:x\nvirtual_mailbox_maps = proxy:mysql:x{ttl=1s}\nvirtual_uid_maps = static:5000\nvirtual_gid_maps = ";
        Assert.Empty(Check(Level + Maps + "static:5000\n"));
        Assert.Equal(
            "virtual_gid_maps: tables on servers do not say whose rights a delivery has: mail that needs unionmap:{static:1,pgsql:x} waits",
            Single(Level + Maps + "unionmap:{static:1,pgsql:x}\n").Text);
    }

    [Theory]
    [InlineData("pgsql:/nonexistent/x.cf{ttl=5s, timeout=2s}")]
    [InlineData("pgsql:/nonexistent/x.cf")]
    public void The_file_of_a_table_has_no_options_in_its_name(string table) =>
        Assert.Equal("open \"pgsql\" configuration \"/nonexistent/x.cf\": No such file or directory", Single(Level + $"alias_maps = {table}\n").Text);

    public static TheoryData<string> RealConfigurations => PostconfVectorTests.RealConfigurations;

    [Theory]
    [MemberData(nameof(RealConfigurations))]
    public void A_real_configuration_is_read_without_a_false_error(string name)
    {
        Assert.SkipUnless(TestPrograms.TestData is not null, "the configurations are not here");
        string folder = Path.Combine(TestPrograms.TestData!, "realworld-configs", name);
        string source = new[] { "rendered", "orig", "." }.Select(d => Path.Combine(folder, d)).First(d => File.Exists(Path.Combine(d, "main.cf")));

        IReadOnlyList<ConfigurationFinding> findings = ConfigurationCheck.Run(MailConfiguration.Load(source, PostconfHarness.Somewhere));

        // True ones: what is not there yet, files that this machine lacks or may lack, and what Postfix's stock file leaves to fill in.
        Assert.Equal([], findings.Select(f => f.Text).Where(text =>
            !text.Contains("not implemented", StringComparison.Ordinal) && !text.Contains("unsupported dictionary type", StringComparison.Ordinal)
            && !text.Contains("No such file or directory", StringComparison.Ordinal) && !text.Contains("is older than source file", StringComparison.Ordinal)
            && !text.StartsWith("duplicate master.cf entry", StringComparison.Ordinal) && !text.StartsWith("setgid_group is empty", StringComparison.Ordinal)));
    }
}
