using System.Text.RegularExpressions;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Differential;

/// <summary>
/// The same mail through the installed Postfix and through Postwright: bounces, postmaster's copies, success reports and the
/// log lines of queue manager, error, discard and bounce must be the same but for names and times.
/// </summary>
[Collection(nameof(RealDaemons))]
public sealed partial class NoticeDifferentialTests
{
    private const string Content = "From: A <a@box.test>\r\nTo: B <b@box.test>\r\nSubject: hello\r\nMessage-ID: <1@test>\r\n"
        + "Date: Mon, 1 Jun 2026 12:00:00 +0000\r\n\r\nbody line\r\n.";

    // One destination a message: Postfix's processes race, and the order of a notice's recipients with them.

    /// <summary>MAIL's and RCPT's arguments, and how many notices follow.</summary>
    private static readonly (string From, string[] To, int Notices)[] Mail =
    [
        ("<a@box.test> ENVID=env+2B1 RET=FULL", ["<one@fail.test>", "<two@fail.test>"], 2),
        ("<a@box.test> RET=HDRS", ["<hdr@fail2.test> ORCPT=rfc822;orig@x.test NOTIFY=FAILURE,DELAY"], 2),
        ("<>", ["<null@fail2.test>"], 1),
        ("<a@box.test>", ["<never@fail2.test> NOTIFY=NEVER"], 1),
        ("<a@box.test>", ["<ok@sent.test> NOTIFY=SUCCESS"], 1),
        ("<a@box.test> BODY=8BITMIME", ["<\"a b\"@fail2.test>"], 2),
        ("<a@box.test>", ["<known@alias.test>"], 2),
        ("<a@box.test>", ["<unknown@alias.test>"], 2),
        ("<a@box.test>", ["<b@box.test> NOTIFY=SUCCESS"], 1),
        ("<a@box.test>", ["<late@defer.test>"], 0),
    ];

    private const int DeliveredDirectly = 1;

    [Fact]
    public async Task Notices_and_log_lines_are_those_of_Postfix()
    {
        Assert.SkipWhen(PostfixInstance.Obstacle is not null, PostfixInstance.Obstacle ?? "");
        await using MailSink fromPostfix = new();
        await using MailSink fromPostwright = new();
        await using PostfixInstance postfix = await PostfixInstance.StartAsync(Settings(fromPostfix.Port), [[]]);
        await using ServerInstance postwright = await ServerInstance.StartAsync(Settings(fromPostwright.Port));

        await SendAllAsync(postfix.Ports[0]);
        await SendAllAsync(postwright.Port);

        int notices = Mail.Sum(mail => mail.Notices);
        await FinishAsync(fromPostfix, notices, () => postfix.Log);
        await FinishAsync(fromPostwright, notices, () => postwright.Log);
        AssertSame(Messages(fromPostfix), Messages(fromPostwright));
        AssertSame(LogLines(postfix.Log), LogLines(postwright.Log));
    }

    private static void AssertSame(string[] expected, string[] actual) => Assert.True(
        expected.SequenceEqual(actual),
        "only from Postfix:\n" + string.Join('\n', expected.Except(actual)) + "\nonly from Postwright:\n" + string.Join('\n', actual.Except(expected)));

    private static string Settings(int sinkPort) => $$$"""
        myhostname = mx.here.test
        mydestination =
        alias_maps =
        local_recipient_maps =
        mynetworks = 127.0.0.0/8
        virtual_mailbox_domains =
        virtual_minimum_uid = 1
        smtpd_peername_lookup = no
        smtpd_reject_unlisted_recipient = no
        compatibility_level = 3.6
        notify_classes = bounce, 2bounce
        bounce_notice_recipient = pm@box.test
        2bounce_notice_recipient = pm2@box.test
        virtual_alias_domains = alias.test
        virtual_alias_maps = inline:{ {known@alias.test = member@fail2.test} }
        transport_maps = inline:{
          {box.test = smtp:[127.0.0.1]:{{{sinkPort}}}}
          {fail.test = error:5.1.1 no such user here at all, and a long text that goes on so that its folding in the notice is seen}
          {fail2.test = error:5.7.1 other reason}
          {defer.test = retry:4.4.1 connect to mx.defer.test[192.0.2.1]:25: Connection timed out}
          {sent.test = discard:thrown away} }
        """;

    private static async Task SendAllAsync(int port)
    {
        await using SmtpTestClient client = await SmtpTestClient.ConnectAsync(port);
        Assert.StartsWith("250", await client.AskAsync("EHLO client.test"));
        foreach ((string from, string[] to, _) in Mail)
        {
            Assert.StartsWith("250", await client.AskAsync($"MAIL FROM:{from}"));
            foreach (string recipient in to)
            {
                Assert.StartsWith("250", await client.AskAsync($"RCPT TO:{recipient}"));
            }

            Assert.StartsWith("354", await client.AskAsync("DATA"));
            Assert.StartsWith("250", await client.AskAsync(Content));
        }

        await client.AskAsync("QUIT");
    }

    /// <summary>All notices are there, and each message but the deferred one has left the queue.</summary>
    private static Task FinishAsync(MailSink sink, int notices, Func<string> log) => ServerInstance.UntilAsync(
        () => Task.FromResult(sink.Messages.Count >= notices + DeliveredDirectly
            && log().Contains("status=deferred (connect to mx.defer.test", StringComparison.Ordinal)
            && log().Split('\n').Count(line => line.EndsWith(": removed", StringComparison.Ordinal)) >= notices + Mail.Length - 1),
        () => $"{sink.Messages.Count} of {notices} notices:\n{log()}");

    private static string[] Messages(MailSink sink) => [.. sink.Messages.Select(Normal).Order(StringComparer.Ordinal)];

    private static string[] LogLines(string log) =>
        [.. log.Split('\n').Select(line => Service().Match(line)).Where(match => match.Success).Select(match => Normal(match.Groups[1].Value)).Order(StringComparer.Ordinal)];

    private static string Normal(string text)
    {
        text = MailDate().Replace(text, "DATE");
        text = Stamp().Replace(text, "STAMP");
        text = QueueId().Replace(text, "ID");
        text = Seconds().Replace(text, ".SECONDS/");
        text = Port().Replace(text, "]:PORT");
        text = Size().Replace(text, "size=N");
        return Delays().Replace(text, "delay=D, delays=D");
    }

    [GeneratedRegex(@"postfix/((?:qmgr|error|discard|bounce)\[\d+\]: [0-9A-F]+: .*)")]
    private static partial Regex Service();

    [GeneratedRegex(@"\w{3}, [ \d]\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4} \(\w+\)")]
    private static partial Regex MailDate();

    [GeneratedRegex(@"\b\d{14}(?=\.)|\[\d+\](?=: [0-9A-F])")]
    private static partial Regex Stamp();

    [GeneratedRegex(@"\b[0-9A-F]{9,15}\b")]
    private static partial Regex QueueId();

    [GeneratedRegex(@"\.\d{10}/")]
    private static partial Regex Seconds();

    [GeneratedRegex(@"(?<=127\.0\.0\.1)\]:\d+")]
    private static partial Regex Port();

    [GeneratedRegex(@"size=\d+")]
    private static partial Regex Size();

    [GeneratedRegex(@"delay=[\d.]+, delays=[\d./]+")]
    private static partial Regex Delays();
}
