using System.Text;
using Postwright.Core.Configuration;
using Postwright.Core.Configuration.Bounce;
using Postwright.Protocol.Mail;

namespace Postwright.Server.Report;

/// <summary>bounce(8)'s settings, read once.</summary>
public sealed record ReportOptions
{
    /// <summary>myhostname.</summary>
    public required string MyHostName { get; init; }

    /// <summary>myorigin: the domain of MAILER-DAEMON.</summary>
    public required string MyOrigin { get; init; }

    /// <summary>mail_name.</summary>
    public string MailName { get; init; } = "Postfix";

    /// <summary>bounce_size_limit: a larger message returns as headers only.</summary>
    public long SizeLimit { get; init; } = 50_000;

    /// <summary>maximal_queue_lifetime, for the words about how long mail is kept.</summary>
    public TimeSpan MaximalLifetime { get; init; } = TimeSpan.FromDays(5);

    /// <summary>delay_warning_time, ascending.</summary>
    public IReadOnlyList<TimeSpan> DelayWarnings { get; init; } = [];

    /// <summary>The address that notices to postmaster come from: double_bounce_sender@myhostname.</summary>
    public required string DoubleBounceSender { get; init; }

    /// <summary>bounce_notice_recipient when notify_classes has bounce, else null.</summary>
    public string? BounceCopyTo { get; init; }

    /// <summary>2bounce_notice_recipient when notify_classes has 2bounce or bounce, else null.</summary>
    public string? DoubleBounceTo { get; init; }

    /// <summary>delay_notice_recipient when notify_classes has delay, else null.</summary>
    public string? DelayCopyTo { get; init; }

    /// <summary>bounce_template_file's templates, or the built-in ones.</summary>
    public BounceTemplates Templates { get; init; } = BounceTemplates.BuiltIn;

    /// <summary>Why bounce_template_file could not be read, or null. Start refuses that; here the file was lost since.</summary>
    public string? TemplateTrouble { get; init; }

    /// <summary>A parameter's expanded value for the templates; null for those above alone.</summary>
    public BounceText? TemplateText { get; init; }

    /// <summary>A notice's text for people, lines ended by LF. A name that start would have refused counts as empty.</summary>
    internal byte[] TextOf(BounceTemplate template, TimeSpan delay = default)
    {
        BounceText expander = TemplateText ?? new BounceText(name => name == "myhostname" ? MyHostName : null, MaximalLifetime);
        expander.Expand(template, delay, _ => { }, out string text);
        return Encoding.Latin1.GetBytes(text);
    }

    /// <summary>The template's From: with local names completed by myorigin.</summary>
    internal string FromOf(BounceTemplate template)
    {
        AddressToken[] tokens = [.. AddressList.Parse(template.From)];
        bool changes = false;
        for (int i = 0; i < tokens.Length; i++)
        {
            string address = tokens[i].Kind == AddressTokenKind.Address ? AddressList.Internalize(tokens[i].Parts) : "";
            if (address.Length > 0 && !address.Contains('@', StringComparison.Ordinal))
            {
                tokens[i] = tokens[i] with { Parts = [new AddressToken(AddressTokenKind.Atom, $"{address}@{MyOrigin}", [])] };
                changes = true;
            }
        }

        return changes ? AddressList.Externalize(tokens, breakLines: false) : template.From;
    }

    /// <summary>The Received: of a message that is made of another.</summary>
    internal byte[] ReceivedHeader(string queueId, string date, string from = "") =>
        Encoding.UTF8.GetBytes($"Received: by {MyHostName} ({MailName}{from})\r\n\tid {queueId}; {date}\r\n");

    /// <summary>The header fields of a message that an alias made of another: Received:, and where it was delivered to so far.</summary>
    internal byte[] TraceHeaders(string queueId, string date, IReadOnlyList<string> deliveredTo) =>
    [
        .. ReceivedHeader(queueId, date),
        .. Encoding.UTF8.GetBytes(string.Concat(deliveredTo.Select(address => $"Delivered-To: {AddressText.ToExternal(address)}\r\n"))),
    ];

    /// <summary>Reads the settings.</summary>
    public static ReportOptions From(MailConfiguration configuration)
    {
        HashSet<string> classes = configuration.GetList("notify_classes").ToHashSet(StringComparer.OrdinalIgnoreCase);
        BounceTemplates templates = BounceTemplates.Read(configuration.GetString("bounce_template_file"), _ => { }, out string? trouble);
        string? To(bool wanted, string name) => wanted ? configuration.GetString(name) : null;
        return new ReportOptions
        {
            MyHostName = configuration.GetString("myhostname"),
            MyOrigin = configuration.GetString("myorigin"),
            MailName = configuration.GetString("mail_name"),
            Templates = templates,
            TemplateTrouble = trouble,
            TemplateText = BounceText.Of(configuration),
            SizeLimit = configuration.GetLong("bounce_size_limit"),
            MaximalLifetime = configuration.GetTime("maximal_queue_lifetime"),
            DelayWarnings = [.. configuration.GetTimes("delay_warning_time").Where(age => age > TimeSpan.Zero).Order()],
            DoubleBounceSender = configuration.GetString("double_bounce_sender") + "@" + configuration.GetString("myhostname"),
            BounceCopyTo = To(classes.Contains("bounce"), "bounce_notice_recipient"),
            DoubleBounceTo = To(classes.Contains("2bounce") || classes.Contains("bounce"), "2bounce_notice_recipient"),
            DelayCopyTo = To(classes.Contains("delay"), "delay_notice_recipient"),
        };
    }
}
