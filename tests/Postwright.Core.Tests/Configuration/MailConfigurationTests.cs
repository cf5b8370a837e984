using System.Net;
using Postwright.Core.Configuration;

namespace Postwright.Core.Tests.Configuration;

public sealed class MailConfigurationTests
{
    private static readonly HostFacts Host = new("mx", [
        new InterfaceAddress(IPAddress.Parse("127.0.0.1"), 8),
        new InterfaceAddress(IPAddress.Parse("192.0.2.2"), 24),
        new InterfaceAddress(IPAddress.Parse("::1"), 128),
    ]);

    [Fact]
    public void A_value_is_expanded_and_an_unset_one_is_the_default()
    {
        MailConfiguration configuration = MailConfiguration.FromText("mydomain = example.org\nmyorigin = $mydomain\n", null, Host);

        Assert.Equal("example.org", configuration.GetString("myorigin"));
        Assert.Equal("mx.example.org", configuration.GetString("myhostname"));
        Assert.Equal(["mx.example.org", "localhost.example.org", "localhost"], configuration.GetList("mydestination"));
        Assert.Equal(TimeSpan.FromDays(5), configuration.GetTime("maximal_queue_lifetime"));
        Assert.Equal(10240000, configuration.GetLong("message_size_limit"));
        Assert.Equal(20, configuration.GetInt("smtpd_hard_error_limit"));
        Assert.True(configuration.GetBool("smtpd_delay_reject"));
        Assert.Empty(configuration.Errors);
    }

    [Fact]
    public void Stress_changes_the_limits_that_depend_on_it()
    {
        MailConfiguration configuration = MailConfiguration.FromText("", null, Host).WithOverrides([new("stress", "yes")]);

        Assert.Equal(1, configuration.GetInt("smtpd_hard_error_limit"));
        Assert.Equal(TimeSpan.FromSeconds(10), configuration.GetTime("smtpd_timeout"));
    }

    [Fact]
    public void Mynetworks_follows_style_and_compatibility_level()
    {
        Assert.Equal("127.0.0.0/8 192.0.2.0/24 [::1]/128", MailConfiguration.FromText("", null, Host).GetString("mynetworks"));
        Assert.Equal(
            "127.0.0.1/32 192.0.2.2/32 [::1]/128",
            MailConfiguration.FromText("compatibility_level = 3.6", null, Host).GetString("mynetworks"));
        Assert.Equal(
            "127.0.0.0/8",
            MailConfiguration.FromText("inet_interfaces = loopback-only\ninet_protocols = ipv4", null, Host).GetString("mynetworks"));
    }

    [Fact]
    public void An_invalid_value_falls_back_to_the_default_and_is_collected()
    {
        MailConfiguration configuration = MailConfiguration.FromText("# comment\nsmtpd_soft_error_limit = ten\n", null, Host);

        Assert.Equal(10, configuration.GetInt("smtpd_soft_error_limit"));
        ConfigurationError error = Assert.Single(configuration.Errors);
        Assert.Equal(2, error.Line);
    }

    [Fact]
    public void An_unknown_name_is_a_bug()
        => Assert.Throws<ArgumentException>(() => MailConfiguration.FromText("", null, Host).GetString("no_such_parameter"));

    [Fact]
    public void Every_transport_has_its_own_limits()
    {
        MailConfiguration configuration = MailConfiguration.FromText("slow_destination_rate_delay = 2s", null, Host);

        Assert.Equal(TimeSpan.FromSeconds(2), configuration.GetTime("slow_destination_rate_delay"));
        Assert.Equal(20, configuration.GetInt("slow_destination_concurrency_limit"));
        Assert.Equal(2, configuration.GetInt("local_destination_concurrency_limit"));
    }

    [Fact]
    public void Myorigin_may_name_a_file_as_on_Debian()
    {
        string folder = PostconfHarness.TemporaryFolder();
        try
        {
            string file = Path.Combine(folder, "mailname");
            File.WriteAllText(file, "example.net\nsecond line\n");

            Assert.Equal("example.net", MailConfiguration.FromText($"myorigin = {file}", null, Host).GetString("myorigin"));

            MailConfiguration absent = MailConfiguration.FromText($"myorigin = {file}.absent", null, Host);
            Assert.Equal("mx.localdomain", absent.GetString("myorigin"));
            Assert.Contains("No such file or directory", Assert.Single(absent.Errors).Text, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Text_that_is_no_utf_8_loses_no_byte()
    {
        string folder = PostconfHarness.TemporaryFolder();
        try
        {
            File.WriteAllBytes(Path.Combine(folder, "main.cf"), [.. "mail_name = caf"u8, 0xe9, (byte)'\n']);
            File.WriteAllText(Path.Combine(folder, "master.cf"), "");

            Assert.Equal("caf\u00e9", MailConfiguration.Load(folder, Host).GetString("mail_name"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("", "smtp/inet submission/inet pickup/unix")]
    [InlineData("inet", "pickup/unix")]
    [InlineData("smtp/inet", "submission/inet pickup/unix")]
    [InlineData("!submission/inet, inet", "submission/inet pickup/unix")]
    [InlineData("inet, !submission/inet", "pickup/unix")]
    [InlineData("$kind unix", "")]
    public void Services_that_master_service_disable_names_do_not_run(string value, string running)
    {
        MailConfiguration configuration = MailConfiguration.FromText(
            $"kind = inet\nmaster_service_disable = {value}\n",
            "smtp inet n - n - - smtpd\nsubmission inet n - n - - smtpd\npickup unix n - n 60 1 pickup\n",
            PostconfHarness.Somewhere);

        Assert.Equal(running, string.Join(' ', configuration.Services.Select(s => $"{s.Name}/{s.Type}")));
    }
}
