using System.Text.RegularExpressions;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Differential;

/// <summary>
/// Tables that local(8) and virtual(8) do not take commands, files, mailboxes and identities from: the mail is deferred, and the
/// log says why in Postfix's words. Nothing listens where the tables are said to be; nobody may even ask.
/// </summary>
[Collection(nameof(RealDaemons))]
public sealed partial class TableSecurityTests
{
    private const string Settings = """
        compatibility_level = 3.6
        myhostname = mail.example.test
        mydestination = local.test
        mynetworks = 127.0.0.0/8
        local_transport = local
        virtual_transport = virtual
        local_recipient_maps =
        smtpd_reject_unlisted_recipient = no
        virtual_mailbox_domains = virtual.test
        virtual_mailbox_base = /nonexistent
        virtual_mailbox_maps = static:u/
        virtual_uid_maps = static:65534
        virtual_gid_maps = static:65534
        alias_database =
        alias_maps =

        """;

    [Theory]
    [InlineData("alias_maps", "tcp:127.0.0.1:1")]
    [InlineData("alias_maps", "socketmap:inet:127.0.0.1:1:x")]
    [InlineData("alias_maps", "memcache:/etc/postfix/no-such-file")]
    [InlineData("alias_maps", "proxy:tcp:127.0.0.1:1")]
    [InlineData("alias_maps", "unionmap:{tcp:127.0.0.1:1,static:other@virtual.test}")]
    [InlineData("alias_maps", "pipemap:{static:other,socketmap:inet:127.0.0.1:1:x}")]
    [InlineData("virtual_mailbox_maps", "proxy:socketmap:inet:127.0.0.1:1:x")]
    [InlineData("virtual_mailbox_maps", "unionmap:{tcp:127.0.0.1:1,static:u/}")]
    [InlineData("virtual_uid_maps", "tcp:127.0.0.1:1")]
    [InlineData("virtual_gid_maps", "unionmap:{memcache:/etc/postfix/no-such-file,static:65534}")]
    [InlineData("virtual_uid_maps", "regexp:{{/(.)/ 6553$${1}4}}")]
    public async Task Postfix_and_postwright_defer_with_the_same_words(string parameter, string table)
    {
        Assert.SkipWhen(PostfixInstance.Obstacle is not null, PostfixInstance.Obstacle ?? "");
        string settings = $"{Settings}{parameter} = {table}\n";
        string to = parameter == "alias_maps" ? "team@local.test" : "u@virtual.test";
        await using PostfixInstance postfix = await PostfixInstance.StartAsync(settings, [[]]);
        await using ServerInstance server = await ServerInstance.StartAsync(settings);
        await SendAsync(postfix.Ports[0], to);
        await SendAsync(server.Port, to);
        await ServerInstance.UntilAsync(() => Task.FromResult(IsDone(postfix.Log) && IsDone(server.Log)), () => $"{postfix.Log}\n{server.Log}");
        string expected = Said(postfix.Log);
        Assert.Contains("status=deferred", expected, StringComparison.Ordinal);
        Assert.Equal(expected, Said(server.Log));
    }

    [Fact]
    public async Task A_rule_of_alias_maps_that_repeats_the_key_defers_what_it_matches_and_nothing_else()
    {
        await using ServerInstance server = await ServerInstance.StartAsync(Settings + "alias_maps = pcre:{{/^plain$$/ nobody@virtual.test}, {/^(list)-/ $$1@elsewhere.test}}\n");
        await SendAsync(server.Port, "list-all@local.test");
        await server.LoggedAsync("warning: pcre map {{/^plain$/ nobody@virtual.test}, {/^(list)-/ $1@elsewhere.test}}, line 2: regular expression substitution is not allowed");
        await server.LoggedAsync("status=deferred (alias database unavailable)");
        await SendAsync(server.Port, "no-such-user@local.test");
        await server.LoggedAsync("status=bounced (unknown user: \"no-such-user\")");
        await SendAsync(server.Port, "plain@local.test");
        await server.LoggedAsync("orig_to=<plain@local.test>, relay=virtual");
        Assert.DoesNotContain("elsewhere.test>", server.Log, StringComparison.Ordinal);
    }

    private static async Task SendAsync(int port, string to)
    {
        await using SmtpTestClient client = await SmtpTestClient.ConnectAsync(port);
        await client.AskAsync("HELO client.example");
        Assert.StartsWith("250 ", await client.MailAsync("", to, "Subject: x\r\n\r\ntext\r\n"), StringComparison.Ordinal);
    }

    private static bool IsDone(string log) => log.Contains(" status=", StringComparison.Ordinal);

    /// <summary>What the delivery agent said, without what differs in each run, and without errno's text, which is by chance.</summary>
    private static string Said(string log) => string.Join('\n', log.Split('\n')
        .Select(static line => Line().Match(line))
        .Where(static match => match.Success)
        .Select(static match => Chance().Replace(match.Groups["text"].Value, "$1...")));

    [GeneratedRegex(@" postfix/(local|virtual|proxymap)\[\d+\]: (?<text>((error|warning): (?!/tmp/).*|.* status=.*))$")]
    private static partial Regex Line();

    [GeneratedRegex("(^|delays?=)[0-9A-Za-z./]+(?=: to=|,)|(?<=: lookup u@virtual.test: ).*")]
    private static partial Regex Chance();
}
