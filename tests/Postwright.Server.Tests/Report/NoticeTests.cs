using Postwright.Server.Deliver;
using Postwright.Server.Queue;
using Postwright.Server.Tests.Queue.Scheduling;

namespace Postwright.Server.Tests.Report;

public sealed class NoticeTests
{
    private static readonly byte[] Content = "From: A <a@test>\r\nSubject: hello\r\n\r\nbody line\r\n"u8.ToArray();

    [Fact]
    public async Task Failed_mail_returns_to_its_sender_in_one_notice_that_is_kept_before_the_cause_is_removed()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (request, recipient) => request.NextHop == "box.test" ? Sent(recipient) : ScriptedAgent.Bounced(recipient.Index);
        rig.Start();

        EnvelopeRecipient[] recipients = [new("one@fail.test", "one@fail.test"), new("two@fail.test", "alias@here.test", DsnNotify.Failure, "rfc822;orig@x.test")];
        string id = Send(rig, "a@box.test", recipients, envelope => envelope with { EnvelopeId = "env+1" });

        await rig.Logged($"{id}: removed");
        await rig.Eventually(() => rig.Store.Count == 0);
        DeliveryRequest request = smtp.Requests.Single(one => one.NextHop == "box.test");
        Assert.Equal("", request.Envelope.Sender);
        Assert.True(request.Envelope.IsNotice);
        Assert.Contains(rig.Log.All, line => line == $"postfix/bounce: {id}: sender non-delivery notification: {request.Envelope.QueueId}");
        string boundary = $"{id}.{rig.Time.GetUtcNow().ToUnixTimeSeconds()}/mx.here.test";
        string expected = $"""
            Received: by mx.here.test (Postfix)
            	id {request.Envelope.QueueId}; Mon, 01 Jun 2026 12:00:00 +0000 (UTC)
            Date: Mon, 01 Jun 2026 12:00:00 +0000 (UTC)
            From: Mail Delivery System <MAILER-DAEMON@here.test>
            Subject: Undelivered Mail Returned to Sender
            To: a@box.test
            Auto-Submitted: auto-replied
            MIME-Version: 1.0
            Content-Type: multipart/report; report-type=delivery-status;
            	boundary="{boundary}"
            Content-Transfer-Encoding: 8bit
            Message-Id: <20260601120000.{request.Envelope.QueueId}@mx.here.test>

            This is a MIME-encapsulated message.

            --{boundary}
            Content-Description: Notification
            Content-Type: text/plain; charset=utf-8
            Content-Transfer-Encoding: 8bit

            This is the mail system at host mx.here.test.

            I'm sorry to have to inform you that your message could not
            be delivered to one or more recipients. It's attached below.

            For further assistance, please send mail to postmaster.

            If you do so, please include this problem report. You can
            delete your own text from the attached returned message.

                               The mail system

            <one@fail.test>: host mx.test[192.0.2.1] said: 550 5.1.1 No such user (in reply
                to RCPT TO command)

            <two@fail.test> (expanded from <alias@here.test>): host mx.test[192.0.2.1]
                said: 550 5.1.1 No such user (in reply to RCPT TO command)

            --{boundary}
            Content-Description: Delivery report
            Content-Type: message/delivery-status

            Reporting-MTA: dns; mx.here.test
            Original-Envelope-Id: env+1
            X-Postfix-Queue-ID: {id}
            X-Postfix-Sender: rfc822; a@box.test
            Arrival-Date: Mon, 01 Jun 2026 12:00:00 +0000 (UTC)

            Final-Recipient: rfc822; one@fail.test
            Original-Recipient: rfc822;one@fail.test
            Action: failed
            Status: 5.1.1
            Remote-MTA: dns; mx.test
            Diagnostic-Code: smtp; 550 5.1.1 No such user

            Final-Recipient: rfc822; two@fail.test
            Original-Recipient: rfc822;orig@x.test
            Action: failed
            Status: 5.1.1
            Remote-MTA: dns; mx.test
            Diagnostic-Code: smtp; 550 5.1.1 No such user

            --{boundary}
            Content-Description: Undelivered Message
            Content-Type: message/rfc822
            Content-Transfer-Encoding: 8bit

            Return-Path: <a@box.test>
            From: A <a@test>
            Subject: hello

            body line

            --{boundary}--

            """;
        Assert.Equal(expected.ReplaceLineEndings("\r\n"), smtp.Contents[request.Envelope.QueueId]);
    }

    [Fact]
    public async Task A_notice_that_cannot_be_kept_keeps_its_cause_in_the_queue()
    {
        await using QueueRig rig = new();
        rig.Transport("smtp").Answer = (_, recipient) => ScriptedAgent.Bounced(recipient.Index);
        rig.Cleanup.Answer = Server.Cleanup.CleanupStatus.NoSpace;
        rig.Start();

        string id = Send(rig, "a@box.test", [new("one@fail.test", "one@fail.test")]);

        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());
        Assert.DoesNotContain(rig.Store.Changes, change => change is MessageRemoved or RecipientsDone);
        await rig.Logged($"{id}: sender notification failed to <a@box.test>");
    }

    [Fact]
    public async Task Nobody_is_told_of_a_lost_notice_unless_postmaster_asked()
    {
        await using QueueRig rig = new();
        rig.Transport("smtp").Answer = (_, recipient) => ScriptedAgent.Bounced(recipient.Index);
        rig.Start();
        string id = Send(rig, "", [new("one@fail.test", "one@fail.test")]);
        await rig.Logged($"{id}: removed");
        Assert.DoesNotContain(rig.Log.All, line => line.StartsWith("postfix/bounce"));
    }

    [Fact]
    public async Task Postmaster_gets_double_bounces_and_the_loop_ends_there()
    {
        await using QueueRig rig = new(null, report => report with { DoubleBounceTo = "postmaster@pm.test" });
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (_, recipient) => ScriptedAgent.Bounced(recipient.Index);
        rig.Start();

        string id = Send(rig, "", [new("one@fail.test", "one@fail.test")]);

        await rig.Eventually(() => rig.Store.Count == 0 && rig.Log.All.Any(line => line.Contains("discarded")));
        DeliveryRequest request = smtp.Requests.Single(one => one.NextHop == "pm.test");
        Assert.Equal("double-bounce@mx.here.test", request.Envelope.Sender);
        string text = smtp.Contents[request.Envelope.QueueId];
        Assert.Contains("Subject: Postmaster Copy: Undelivered Mail\r\n", text);
        Assert.Contains("Auto-Submitted: auto-generated\r\n", text);
        Assert.Contains("Content-Transfer-Encoding: 8bit\r\n\r\n\r\n<one@fail.test>: host", text);
        Assert.Contains("X-Postfix-Sender: rfc822; MAILER-DAEMON@mx.here.test\r\n", text);
        Assert.Contains($"postfix/bounce: {id}: postmaster non-delivery notification: {request.Envelope.QueueId}", rig.Log.All);
        Assert.Contains($"postfix/bounce: warning: {request.Envelope.QueueId}: undeliverable postmaster notification discarded", rig.Log.All);
    }

    [Fact]
    public async Task Mail_to_our_own_notice_address_is_discarded()
    {
        await using QueueRig rig = new();
        rig.Resolver.Routes["mx.here.test"] = new(Server.Route.ResolveStatus.Resolved, Server.Route.AddressClass.Local, "local", "mx.here.test", "");
        rig.Start();
        string id = Send(rig, "", [new("double-bounce@mx.here.test", "double-bounce@mx.here.test")]);
        await rig.Logged($"{id}: removed");
        Assert.Contains(rig.Log.All, line => line == $"postfix/qmgr: {id}: to=<double-bounce@mx.here.test>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (undeliverable postmaster notification discarded)");
    }

    [Fact]
    public async Task Mail_that_is_too_old_is_returned_with_its_last_reason()
    {
        QueueManagerOptions options = new() { MaximalLifetime = TimeSpan.FromMinutes(8), DelayWarnings = [] };
        await using QueueRig rig = new(options);
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (request, recipient) => request.NextHop == "box.test" ? Sent(recipient) : ScriptedAgent.Deferred(recipient.Index);
        rig.Start();

        string id = Send(rig, "a@box.test", [new("late@defer.test", "late@defer.test")]);

        // The clock does not run before the first attempt.
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());
        await rig.Eventually(TimeSpan.FromSeconds(20), () => rig.Store.Count == 0);
        Assert.Contains($"postfix/qmgr: {id}: from=<a@box.test>, status=expired, returned to sender", rig.Log.All);
        string text = smtp.Contents[smtp.Requests.Single(one => one.NextHop == "box.test").Envelope.QueueId];
        Assert.Contains("Action: failed\r\nStatus: 4.4.1\r\nDiagnostic-Code: X-Postfix; connect to mx.test[192.0.2.1]:25: Connection\r\n    refused\r\n", text);
    }

    [Fact]
    public async Task The_sender_is_warned_at_each_age_and_once_only()
    {
        QueueManagerOptions options = new() { DelayWarnings = [TimeSpan.FromMinutes(5), TimeSpan.FromHours(4)] };
        await using QueueRig rig = new(options);
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (request, recipient) => request.NextHop == "box.test" ? Sent(recipient) : ScriptedAgent.Deferred(recipient.Index);
        rig.Start();
        DateTimeOffset begin = rig.Time.GetUtcNow();

        string id = Send(rig, "a@box.test", [new("late@defer.test", "late@defer.test")]);

        // From attempt to attempt, so that the clock never runs past an age while nobody is looking.
        int attempts = 1;
        for (bool warned = false; !warned; attempts++)
        {
            await rig.Eventually(TimeSpan.FromMilliseconds(100), () => rig.Store.Changes.OfType<MessageDeferred>().Count() >= attempts);
            MessageDeferred last = rig.Store.Changes.OfType<MessageDeferred>().Last();
            warned = last.WarningsSent == 2;
            if (!warned && last.NextAttempt > rig.Time.GetUtcNow())
            {
                rig.Time.Advance(last.NextAttempt - rig.Time.GetUtcNow());
            }
        }

        Assert.True(rig.Time.GetUtcNow() - begin >= TimeSpan.FromHours(4));
        string[] texts = [.. smtp.Requests.Where(one => one.NextHop == "box.test").Select(one => smtp.Contents[one.Envelope.QueueId])];
        await rig.Eventually(() => smtp.Requests.Count(one => one.NextHop == "box.test") == 2);
        texts = [.. smtp.Requests.Where(one => one.NextHop == "box.test").Select(one => smtp.Contents[one.Envelope.QueueId])];
        Assert.Contains("more than 5 minute(s).", texts[0]);
        Assert.Contains("more than 4 hour(s).", texts[1]);
        Assert.All(texts, text => Assert.Contains("Action: delayed\r\n", text));
        Assert.All(texts, text => Assert.Contains("Will-Retry-Until: Sat, 06 Jun 2026 12:00:00 +0000 (UTC)\r\n", text));
        Assert.All(texts, text => Assert.Contains("Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\nReturn-Path: <a@box.test>\r\nFrom: A <a@test>\r\nSubject: hello\r\n\r\n--", text));
        Assert.Equal(2, rig.Log.All.Count(line => line.Contains($"{id}: sender delay notification: ")));
    }

    [Fact]
    public async Task Success_is_told_to_those_who_asked_and_not_when_another_server_will()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (request, recipient) => Sent(recipient) with
        {
            Success = recipient.Address.StartsWith("relayed", StringComparison.Ordinal) ? SuccessReport.Relayed
                : recipient.Address.StartsWith("passed", StringComparison.Ordinal) ? SuccessReport.PassedOn : SuccessReport.Delivered,
        };
        rig.Start();

        string id = Send(rig, "a@box.test",
        [
            new("relayed@x.test", "relayed@x.test", DsnNotify.Success), new("passed@x.test", "passed@x.test", DsnNotify.Success),
            new("here@x.test", "here@x.test", DsnNotify.Success | DsnNotify.Failure), new("silent@x.test", "silent@x.test"),
        ]);

        await rig.Logged($"{id}: sender delivery status notification: ");
        await rig.Eventually(() => rig.Store.Count == 0);
        string text = smtp.Contents[smtp.Requests.Single(one => one.NextHop == "box.test").Envelope.QueueId];
        Assert.Contains("Subject: Successful Mail Delivery Report\r\n", text);
        Assert.Contains("Final-Recipient: rfc822; relayed@x.test\r\nOriginal-Recipient: rfc822;relayed@x.test\r\nAction: relayed\r\n", text);
        Assert.Contains("Final-Recipient: rfc822; here@x.test\r\nOriginal-Recipient: rfc822;here@x.test\r\nAction: delivered\r\n", text);
        Assert.DoesNotContain("passed@x.test", text);
        Assert.DoesNotContain("silent@x.test", text);
    }

    [Fact]
    public async Task Soft_bounce_keeps_what_would_be_returned()
    {
        await using QueueRig rig = new(new QueueManagerOptions { SoftBounce = true });
        rig.Transport("smtp").Answer = (_, recipient) => ScriptedAgent.Bounced(recipient.Index);
        rig.Start();
        string id = Send(rig, "a@box.test", [new("one@fail.test", "one@fail.test")]);
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());
        Assert.Contains(rig.Log.All, line => line.Contains($"{id}: to=<one@fail.test>") && line.Contains("status=SOFTBOUNCE (host"));
    }

    private static RecipientResult Sent(DeliveryRecipient recipient) => new(recipient.Index, DeliveryStatus.Sent, "2.0.0", "ok", "relay.test[192.0.2.1]:25");

    private static string Send(QueueRig rig, string sender, IReadOnlyList<EnvelopeRecipient> recipients, Func<Envelope, Envelope>? change = null)
    {
        string id = rig.Keep(sender, Content, recipients, change);
        rig.Manager.Arrived(id);
        return id;
    }
}
