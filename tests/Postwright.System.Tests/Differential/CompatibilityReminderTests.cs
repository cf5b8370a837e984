using System.Text.RegularExpressions;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Differential;

/// <summary>What the log says of a default that compatibility_level makes an older one: line by line what Postfix says.</summary>
[Collection(nameof(RealDaemons))]
public sealed partial class CompatibilityReminderTests
{
    private const string Settings = """
        myhostname = mail.example.test
        mydestination = example.test, lists.example.test
        local_recipient_maps =
        smtpd_peername_lookup = no
        smtpd_authorized_xclient_hosts = 127.0.0.1
        smtpd_recipient_restrictions = check_recipient_access inline:{{reject@example.test = REJECT no}, {defer@example.net = DEFER no}, {any@example.org = OK}}, permit_mynetworks, reject_unauth_destination

        """;

    private const string Near = "XCLIENT ADDR=127.0.0.9 NAME=near.example.test";
    private const string Far = "XCLIENT ADDR=203.0.113.9 NAME=far.elsewhere.test";

    private static readonly string[][] Sessions =
    [
        [Near, "MAIL FROM:<a@example.org>", "RCPT TO:<any@elsewhere.test>", "RCPT TO:<any@example.org>", "RCPT TO:<reject@example.test>"],
        ["MAIL FROM:<a@example.org>", "RCPT TO:<any@elsewhere.test>"],
        [Far, "MAIL FROM:<a@example.org>", "RCPT TO:<u@example.test>", "RCPT TO:<u@sub.example.test>", "RCPT TO:<any@example.org>", "RCPT TO:<any%elsewhere.test@example.test>"],
        [Far, "MAIL FROM:<a@example.org>", "RCPT TO:<reject@example.test>", "RCPT TO:<defer@example.net>", "RCPT TO:<else@example.net>", "RCPT TO:<postmaster>"],
        [Far, "MAIL FROM:<\u00fc@example.org>", "RCPT TO:<\u00e9@example.test>", "RCPT TO:<\u00e9@sub.example.test>"],
        [Far, "MAIL FROM:<\u00fc@example.org> SMTPUTF8", "RCPT TO:<\u00e9@example.test>"],
        [Far, "MAIL FROM:<a@host>", "RCPT TO:<b@localhost>", "RCPT TO:<b@hosta>", "RCPT TO:<@hostb:x@hostc>", "RCPT TO:<b%hostd@example.test>", "RCPT TO:<b@[127.0.0.1]>"],
        [Far, "ETRN sub.example.test", "ETRN elsewhere.test"],
    ];

    [Theory]
    [InlineData("0", "", 17)]
    [InlineData("1", "", 10)]
    [InlineData("2", "", 3)]
    [InlineData("3.6", "", 0)]
    [InlineData("0", "mynetworks = 127.0.0.0/8\nrelay_domains = $mydestination\nsmtputf8_enable = no\nappend_dot_mydomain = yes\n", 4)]
    [InlineData("0", "mynetworks_style = subnet\nsmtpd_relay_restrictions =\nsmtpd_relay_before_recipient_restrictions = no\nfast_flush_domains = sub.example.test\n", 13)]
    public async Task Postfix_and_postwright_remind_of_the_same_defaults(string level, string more, int least)
    {
        Assert.SkipWhen(PostfixInstance.Obstacle is not null, PostfixInstance.Obstacle ?? "");
        string settings = $"compatibility_level = {level}\n{Settings}{more}";
        await using PostfixInstance postfix = await PostfixInstance.StartAsync(settings, [[]]);
        await using ServerInstance server = await ServerInstance.StartAsync(settings, start: false);
        string main = Path.Combine(server.ConfigDirectory, "main.cf");
        string[] lines = await File.ReadAllLinesAsync(main, TestContext.Current.CancellationToken);

        // The networks that the tests' servers usually trust would keep mynetworks_style from counting.
        int usual = Array.FindIndex(lines, static line => line.StartsWith("mynetworks =", StringComparison.Ordinal));
        await File.WriteAllLinesAsync(main, lines.Where((_, i) => i != usual), TestContext.Current.CancellationToken);
        await server.StartAsync();

        IReadOnlyList<string> replies = await PlayAsync(postfix.Ports[0]);
        Assert.Equal(replies, await PlayAsync(server.Port));
        await ServerInstance.UntilAsync(() => Task.FromResult(HasAll(postfix.Log) && HasAll(server.Log)), () => $"{postfix.Log}\n{server.Log}");
        string[] expected = Reminders(postfix.Log);
        string[] ours = Reminders(server.Log);
        Assert.True(expected.SequenceEqual(ours), $"missing:\n{string.Join('\n', expected.Except(ours))}\ntoo much:\n{string.Join('\n', ours.Except(expected))}");
        Assert.True(expected.Length >= least, string.Join('\n', expected));
    }

    private static async Task<IReadOnlyList<string>> PlayAsync(int port)
    {
        List<string> replies = [];
        foreach (string[] commands in Sessions)
        {
            await using SmtpTestClient client = await SmtpTestClient.ConnectAsync(port);
            await client.AskAsync("EHLO client.example");
            foreach (string command in commands)
            {
                // Latin1 of UTF-8: the client sends bytes.
                string bytes = global::System.Text.Encoding.Latin1.GetString(global::System.Text.Encoding.UTF8.GetBytes(command));
                replies.Add($"{command}: {await client.AskAsync(bytes)}");
                if (command.StartsWith("XCLIENT", StringComparison.Ordinal))
                {
                    await client.AskAsync("EHLO client.example");
                }
            }

            await client.AskAsync("QUIT");
        }

        return replies;
    }

    /// <summary>The log is written by processes of its own, and comes after the replies.</summary>
    private static bool HasAll(string log) => log.Split("disconnect from ").Length > Sessions.Length;

    /// <summary>
    /// Each line once: how often one and the same is rewritten depends on processes and their memory. What is not ASCII is as
    /// Postfix logs it where smtputf8_enable is off.
    /// </summary>
    private static string[] Reminders(string log) => [.. log.Split('\n')
        .Select(static line => Reminder().Match(line))
        .Where(static match => match.Success)
        .Select(static match => match.Groups["program"].Value + ": " + NotAscii().Replace(match.Groups["text"].Value, "??"))
        .Distinct().Order(StringComparer.Ordinal)];

    [GeneratedRegex(@" postfix/(?<program>[a-z-]+)\[\d+\]: (?<text>using backwards-compatible default setting .*)$")]
    private static partial Regex Reminder();

    [GeneratedRegex(@"[\u0080-\u07ff]")]
    private static partial Regex NotAscii();
}
