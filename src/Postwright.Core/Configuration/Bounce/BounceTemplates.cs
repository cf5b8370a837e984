namespace Postwright.Core.Configuration.Bounce;

/// <summary>The four templates: the built-in ones, or those that a template file puts in their place.</summary>
public sealed record BounceTemplates
{
    private const string Host = "This is the mail system at host $myhostname.";

    private static readonly string[] Help =
    [
        "",
        "For further assistance, please send mail to postmaster.",
        "",
        "If you do so, please include this problem report. You can",
        "delete your own text from the attached returned message.",
        "",
        "                   The mail system",
    ];

    /// <summary>What is sent where no file says anything else.</summary>
    public static BounceTemplates BuiltIn { get; } = new();

    /// <summary>For mail that is returned.</summary>
    public BounceTemplate Failure { get; init; } = new()
    {
        Name = "failure",
        Subject = "Undelivered Mail Returned to Sender",
        PostmasterSubject = "Postmaster Copy: Undelivered Mail",
        Lines =
        [
            Host,
            "",
            "I'm sorry to have to inform you that your message could not",
            "be delivered to one or more recipients. It's attached below.",
            .. Help,
        ],
    };

    /// <summary>For mail that is late.</summary>
    public BounceTemplate Delay { get; init; } = new()
    {
        Name = "delay",
        Subject = "Delayed Mail (still being retried)",
        PostmasterSubject = "Postmaster Warning: Delayed Mail",
        Lines =
        [
            Host,
            "",
            "####################################################################",
            "# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #",
            "####################################################################",
            "",
            "Your message could not be delivered for more than $delay_warning_time_hours hour(s).",
            "It will be retried until it is $maximal_queue_lifetime_days day(s) old.",
            .. Help,
        ],
    };

    /// <summary>For mail whose sender asked to be told.</summary>
    public BounceTemplate Success { get; init; } = new()
    {
        Name = "success",
        Subject = "Successful Mail Delivery Report",
        Lines =
        [
            Host,
            "",
            "Your message was successfully delivered to the destination(s)",
            "listed below. If the message was delivered to mailbox you will",
            "receive no further notifications. Otherwise you may still receive",
            "notifications of mail delivery errors from other systems.",
            "",
            "                   The mail system",
        ],
    };

    /// <summary>For <c>sendmail -bv</c> and <c>-v</c>.</summary>
    public BounceTemplate Verify { get; init; } = new()
    {
        Name = "verify",
        Subject = "Mail Delivery Status Report",
        Lines =
        [
            Host,
            "",
            "Enclosed is the mail delivery report that you requested.",
            "",
            "                   The mail system",
        ],
    };

    /// <summary>All four, in the order postconf shows them.</summary>
    public IReadOnlyList<BounceTemplate> All => [Failure, Delay, Success, Verify];

    /// <summary>Reads a file; what it does not replace stays built in.</summary>
    /// <param name="path">The file; empty for the built-in ones.</param>
    /// <param name="warn">Takes what is wrong with templates that are then ignored, in Postfix's words.</param>
    /// <param name="trouble">Why nothing could be read, or null.</param>
    public static BounceTemplates Read(string path, Action<string> warn, out string? trouble)
        => path.Length == 0 ? Nothing(out trouble) : new BounceTemplateReader(path, warn).Read(out trouble);

    /// <summary>The same with one of the four replaced by another of its name.</summary>
    internal BounceTemplates With(BounceTemplate template) => template.Name switch
    {
        "failure" => this with { Failure = template },
        "delay" => this with { Delay = template },
        "success" => this with { Success = template },
        _ => this with { Verify = template },
    };

    private static BounceTemplates Nothing(out string? trouble)
    {
        trouble = null;
        return BuiltIn;
    }
}
