using Postwright.Core.Configuration;
using Postwright.Core.Configuration.Postconf;
using Postwright.Core.Posix;
using Postwright.Server.Deliver;
using Postwright.Server.Queue;
using Postwright.Server.Report;
using Postwright.Server.Tests.Queue.Scheduling;

namespace Postwright.Server.Tests.Report;

/// <summary>bounce_template_file: what is sent is what <c>postconf -b</c> shows.</summary>
public sealed class NoticeTemplateTests
{
    private const string Main = """
        compatibility_level = 3.6
        myhostname = mx.xn--bcher-kva.test
        myorigin = here.test
        notify_classes = bounce
        bounce_notice_recipient = postmaster@pm.test
        own = from $mail_name
        bounce_template_file = ${config_directory}/bounce.cf

        """;

    private const string Templates = """
        failure_template = <<EOF
        Charset: koi8-r
        From: MAILER-DAEMON (Our Robot)
        Subject: Not delivered
        Postmaster-Subject: Look at this

        Host $myhostname, $own, kept ${maximal_queue_lifetime_hours} hours, $$1
          § as it stands

        EOF

        """;

    [Fact]
    public async Task A_notice_says_what_postconf_b_shows()
    {
        string folder = Directory.CreateTempSubdirectory("postwright-bounce-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "main.cf"), Main);
            File.WriteAllText(Path.Combine(folder, "bounce.cf"), Templates);
            using StringWriter shown = new();
            using StringWriter errors = new();
            Assert.Equal(0, new PostconfProgram("postconf", shown, errors, new LinuxDisk()).Run(["-c", folder, "-b"], null));
            Assert.Equal("", errors.ToString());
            string text = shown.ToString().Split("expanded_failure_text = <<EOF\n")[1].Split("EOF\n")[0];
            Assert.Equal("Host mx.bücher.test, from Postfix, kept 120 hours, $1\n  § as it stands\n\n", text);

            ReportOptions options = ReportOptions.From(MailConfiguration.Load(folder));
            await using QueueRig rig = new(null, _ => options);
            ScriptedAgent smtp = rig.Transport("smtp");
            smtp.Answer = (request, recipient) => request.NextHop == "fail.test"
                ? ScriptedAgent.Bounced(recipient.Index)
                : new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "ok", "relay.test[192.0.2.1]:25");
            rig.Start();
            rig.Manager.Arrived(rig.Keep("a@box.test", "Subject: x\r\n\r\nbody\r\n"u8.ToArray(), [new EnvelopeRecipient("one@fail.test", "one@fail.test")]));
            await rig.Eventually(() => rig.Store.Count == 0 && smtp.Requests.Count == 3);

            string ToDomain(string domain) => smtp.Contents[smtp.Requests.Single(one => one.NextHop == domain).Envelope.QueueId];
            string notice = ToDomain("box.test");
            Assert.Contains("\r\nFrom: MAILER-DAEMON@here.test (Our Robot)\r\nSubject: Not delivered\r\n", notice);
            Assert.Contains(
                "Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text.TrimEnd('\n').ReplaceLineEndings("\r\n") + "\r\n\r\n<one@fail.test>: ",
                notice);
            string copy = ToDomain("pm.test");
            Assert.Contains("Subject: Look at this\r\n", copy);
            Assert.DoesNotContain("as it stands", copy);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task A_template_file_that_was_lost_since_start_costs_no_notice()
    {
        ReportOptions options = ReportOptions.From(MailConfiguration.FromText("myhostname = mx.test\nmyorigin = mx.test\nbounce_template_file = /nonexistent/bounce.cf\n"));
        await using QueueRig rig = new(null, _ => options);
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (request, recipient) => request.NextHop == "fail.test"
            ? ScriptedAgent.Bounced(recipient.Index)
            : new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "ok", "relay.test[192.0.2.1]:25");
        rig.Start();
        rig.Manager.Arrived(rig.Keep("a@box.test", "Subject: x\r\n\r\nbody\r\n"u8.ToArray(), [new EnvelopeRecipient("one@fail.test", "one@fail.test")]));
        await rig.Eventually(() => rig.Store.Count == 0);

        Assert.Contains("This is the mail system at host mx.test.\r\n", smtp.Contents[smtp.Requests.Single(one => one.NextHop == "box.test").Envelope.QueueId]);
        Assert.Contains("postfix/bounce: warning: open /nonexistent/bounce.cf: No such file or directory; the built-in templates are used", rig.Log.All);
    }
}
